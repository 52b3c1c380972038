# How the scripts beside this start their processes, and what they make of the end. They source it; sites edit env.sh alone.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

JOB=${SLURM_JOB_ID:-}
unset SLURM_TRES_PER_TASK # newer SLURMs set it to the cores of the job's task, which would contradict those of a rank
GPUS_PER_NODE=${SLURM_GPUS_ON_NODE:-${GPUS_PER_NODE:-1}} # and tasks on a node, one a GPU; without GPUs one, or as given
VLLM_NODES=${VLLM_NODES:-0}                              # the last nodes of the job: vLLM answers there for the trainer on the others
PORT=$((20000 + ${JOB:-0} % 4000 * 3)) # of the training; its preflight and server take the next two. The system hands out none below 32768.
LOGS=logs/$JOB                         # what the ranks print, a file each; the job's own log says what was started and how it ended
NODES=(localhost)
if [[ -n $JOB ]]; then
  hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
  mapfile -t NODES <<<"$hosts"
fi
TRAINERS=("${NODES[@]:0:$((${#NODES[@]} > VLLM_NODES ? ${#NODES[@]} - VLLM_NODES : 0))}")
SERVERS=("${NODES[@]:${#TRAINERS[@]}}")
export EMOREASON_NODES="${TRAINERS[*]}" # for messages

# EMOREASON_DRY_RUN=1 prints the commands, quoted as a shell wants them, and runs nothing.
DRY_RUN=${EMOREASON_DRY_RUN:-0}
print_command() { printf '%q ' "$@" && echo; }
if [[ $DRY_RUN == 1 ]]; then
  srun() { print_command srun "$@"; }
  torchrun() { print_command torchrun "$@"; }
fi

# A task becomes a rank by the names that torch reads. exec, so that SLURM's signals and the exit code are python's own.
AS_RANK='export RANK=$SLURM_PROCID WORLD_SIZE=$SLURM_NTASKS LOCAL_RANK=$SLURM_LOCALID LOCAL_WORLD_SIZE=$1 MASTER_ADDR=$2 MASTER_PORT=$3; shift 3; exec "$@"'
# USR1 is meant for the ranks, but SLURM sends it to every process of the job; what is deaf to it stays so in all that it starts.
DEAF='trap "" USR1; exec "$@"'

# on TASKS NODE...: STEP becomes an srun with so many tasks on each of these nodes of the job, which end together when one fails.
on() {
  local tasks=$1 cores=$((${SLURM_CPUS_PER_TASK:-1} / $1)) # srun does not take over sbatch's --cpus-per-task by itself
  shift
  STEP=(srun "${SRUN_FLAGS[@]}" --nodes=$# --ntasks=$(($# * tasks)) --ntasks-per-node="$tasks" --nodelist="$(IFS=, && echo "$*")"
    --cpus-per-task=$((cores > 0 ? cores : 1)) --kill-on-bad-exit=1)
}

# ranks PORT LOG WORD...: STEP becomes emoreason WORD... as a process a GPU of each training node, by torchrun where there is no SLURM.
# LOG names the files of what they print; - is the job's own log.
ranks() {
  local port=$1 log=()
  [[ $2 == - ]] || log=(--output="$LOGS/$2-%t.log" --open-mode=append)
  shift 2
  if [[ -z $JOB ]]; then
    STEP=(torchrun --nnodes=1 --nproc-per-node="$GPUS_PER_NODE" --rdzv-backend=c10d --rdzv-id=0 --rdzv-endpoint="localhost:$port" -m emoreason "$@")
    return
  fi
  on "$GPUS_PER_NODE" "${TRAINERS[@]}"
  STEP+=("${log[@]}" bash -c "$AS_RANK" rank "$GPUS_PER_NODE" "${TRAINERS[0]}" "$port" "${CONTAINER[@]}" python -m emoreason "$@")
}

# single WORD...: emoreason WORD... in one process, on the first node.
single() {
  STEP=()
  [[ -n $JOB || $DRY_RUN != 1 ]] || STEP=(print_command)
  [[ -z $JOB ]] || on 1 "${NODES[0]}"
  "${STEP[@]}" "${CONTAINER[@]}" python -m emoreason "$@"
}

# launch RECIPE [KEY.PATH=VALUE...]: see whether the nodes fit, train on them, and do what the exit code asks for.
launch() {
  local code=0
  if ((${#TRAINERS[@]} == 0)); then
    echo "VLLM_NODES is $VLLM_NODES of ${#NODES[@]} nodes, and the trainer needs one; submit with --nodes=$((VLLM_NODES + 1)) or more" >&2
    return 2
  fi
  ((VLLM_NODES == 0)) || set -- "$@" rollouts.engine=vllm_server "rollouts.server.url=http://${SERVERS[0]}:$((PORT + 2))"
  [[ -z $JOB || $DRY_RUN == 1 ]] || mkdir -p "$LOGS"
  if [[ ${EMOREASON_PREFLIGHT:-1} != 0 ]]; then
    ranks $((PORT + 1)) - preflight "$@"
    "${STEP[@]}" || code=$?
  fi
  if ((code == 0 && VLLM_NODES > 0)); then
    beside_server "$@" || code=$?
  elif ((code == 0)); then
    ranks "$PORT" train train "$@"
    "${STEP[@]}" || code=$?
  fi
  [[ -z $JOB ]] || finish "$code"
  return "$code"
}

# beside_server RECIPE [KEY.PATH=VALUE...]: train while vLLM answers on the last nodes. It ends with the training, and the training with it.
beside_server() {
  local code=0 training server server_code=0
  on 1 "${SERVERS[@]}"
  STEP+=(--output="$LOGS/serve-%n.log" --open-mode=append bash -c "$DEAF" serve "${CONTAINER[@]}" python -m emoreason serve "$@"
    --port=$((PORT + 2)) --nodes=${#SERVERS[@]} --master="${SERVERS[0]}")
  local serve=("${STEP[@]}")
  ranks "$PORT" train train "$@"
  if [[ $DRY_RUN == 1 ]]; then
    "${serve[@]}" && "${STEP[@]}"
    return
  fi
  "${serve[@]}" & # by itself, not in a function, so that what is killed is srun
  server=$!
  "${STEP[@]}" &
  training=$!
  wait -n || code=$?
  if kill -0 "$training" 2>/dev/null && ((code != 143)); then
    echo "the vLLM server has ended first, with $code; the end of its log, $LOGS/serve-0.log:" >&2
    tail -n 20 "$LOGS/serve-0.log" >&2
    kill "$training"
    wait "$training" || true
    return $((code > 0 ? code : 1))
  fi
  code=0
  wait "$training" || code=$?
  kill "$server" 2>/dev/null || true
  wait "$server" || server_code=$?
  echo "the vLLM server was ended with the training ($server_code)"
  return "$code"
}

# finish CODE: see the exit codes of `emoreason train --help`; srun's is the highest of all tasks, and those that it ends itself have 143.
finish() {
  case $1 in
    0) return 0 ;;
    75) requeue "the training has made room and written a checkpoint" ;;
    138) requeue "the training was told to make room before it had begun" ;;
    2) ;;
    *)
      if is_job 'PreemptTime=[0-9]'; then
        # SLURM takes the nodes for another job. It sends this one back itself, but only if the script has not ended before.
        echo "the nodes go to another job; waits for SLURM to send this one back" >&2
        sleep 900
      elif is_job JobState=RUNNING; then
        on 1 "${NODES[@]}"
        timeout 60 "${STEP[@]}" true || requeue "a node does not answer"
      fi
      ;;
  esac
  if [[ -s $LOGS/train-0.log ]]; then
    echo "the end of $LOGS/train-0.log, others beside it:" >&2
    tail -n 20 "$LOGS/train-0.log" >&2
  fi
  echo "ended with $1; to go on from the last checkpoint, submit the same again" >&2
}

# is_job KEY=PATTERN: whether SLURM says so of this job.
is_job() { [[ " $(scontrol show job -o "$JOB") " == *" "$1* ]]; }

# requeue WHY: send the job back to wait; it goes on from its checkpoint. Fails where it has been sent back too often.
requeue() {
  is_job JobState=RUNNING || return 0 # it was cancelled meanwhile, and stays so
  if ((${SLURM_RESTART_COUNT:-0} >= MAX_REQUEUES)); then
    echo "$1; not sent back to wait, since that was done ${SLURM_RESTART_COUNT:-0} times (MAX_REQUEUES=$MAX_REQUEUES)" >&2
    return
  fi
  echo "$1; sent back to wait (time $((${SLURM_RESTART_COUNT:-0} + 1)) of at most $MAX_REQUEUES)" >&2
  scontrol requeue "$JOB"
  sleep 120 # SLURM ends the script
}
