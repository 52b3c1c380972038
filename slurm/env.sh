# What the scripts beside this need to know of a site: the only file here that a site edits. They source it in the submit folder.
# No secrets: `hf auth login` and `wandb login` keep their keys in your home folder.

# The environment that emoreason is installed in. Take the lines that fit your site.
# module load cuda
# source .venv/bin/activate
# set +u; source "$HOME/miniforge3/bin/activate" emoreason; set -u   # conda's own scripts read variables that are not set
CONTAINER=() # goes before torchrun and python, e.g. (apptainer exec --nv emoreason.sif)

# Caches, on a disk that every node sees, and what the libraries may reach.
# export HF_HOME=/scratch/$USER/huggingface
# export HF_HUB_OFFLINE=1   # for nodes without internet, once `hf download Qwen/Qwen2.5-VL-7B-Instruct` has filled the cache
export WANDB_MODE=${WANDB_MODE:-offline} # matters only with trainer.report_to=wandb
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-4}

# LAUNCH starts one process a GPU on every node, SINGLE one process on the first; without SLURM both stay on this machine.
GPUS_PER_NODE=${SLURM_GPUS_ON_NODE:-${GPUS_PER_NODE:-1}}
PORT=$((20000 + ${SLURM_JOB_ID:-0} % 10000)) # jobs that share a node get ports of their own
HEAD_NODE=localhost
STEP=()
if [[ -n ${SLURM_JOB_ID:-} ]]; then
  HEAD_NODE=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)
  # srun does not take over sbatch's --cpus-per-task by itself; without it torchrun would get one core.
  STEP=(srun --ntasks-per-node=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=1)
fi
LAUNCH=("${STEP[@]}" "${CONTAINER[@]}" torchrun --nnodes="${SLURM_NNODES:-1}" --nproc-per-node="$GPUS_PER_NODE"
  --rdzv-backend=c10d --rdzv-id="${SLURM_JOB_ID:-0}" --rdzv-endpoint="$HEAD_NODE:$PORT")
SINGLE=("${CONTAINER[@]}" python)

# EMOREASON_DRY_RUN=1 prints the command, quoted as a shell wants it, and runs nothing.
if [[ ${EMOREASON_DRY_RUN:-0} == 1 ]]; then
  print_command() { printf '%q ' "$@" && echo; }
  LAUNCH=(print_command "${LAUNCH[@]}")
  SINGLE=(print_command "${SINGLE[@]}")
fi
