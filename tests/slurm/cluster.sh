#!/usr/bin/env bash
# A real SLURM cluster of two nodes, n1 and n2, on this machine, for tests. As root, on Debian or Ubuntu:
#   tests/slurm/cluster.sh start FOLDER    # afresh, whatever ran there; installs slurm-wlm and munge where they are missing
#   export SLURM_CONF=FOLDER/slurm.conf    # what sbatch, srun and the rest go by; /etc/slurm is left alone
#   tests/slurm/cluster.sh node FOLDER n2  # start one node's daemon, e.g. after it was killed
#   tests/slurm/cluster.sh stop FOLDER
# The names n1 and n2 are added to /etc/hosts. Each node says that it has two cores and no GPU; signals go by process tree, not by cgroup.
set -euo pipefail
command=$1 folder=$2

stop() {
  local file pid
  for file in "$folder"/*.pid; do
    [[ -s $file ]] || continue
    pid=$(<"$file")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do readlink "/proc/$pid/exe" >/dev/null || break; sleep 0.1; done # a dead one that nobody buried has none
    rm -f "$file"
  done
}

install_what_is_missing() {
  if ! { command -v slurmctld && command -v slurmd && command -v munged; } >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge >/dev/null
  fi
  grep -qE '\sn2(\s|$)' /etc/hosts || printf '127.0.0.1 n1\n127.0.0.1 n2\n' >>/etc/hosts
  if ! pgrep -x munged >/dev/null; then
    mkdir -p /run/munge
    chown munge: /run/munge
    runuser -u munge -- /usr/sbin/munged
  fi
}

write_settings() {
  local memory=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 / 3))
  mkdir -p "$folder/state" "$folder/spool.n1" "$folder/spool.n2"
  cat >"$folder/slurm.conf" <<CONF
ClusterName=emoreason
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=17817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
JobRequeue=1
KillWait=20
SlurmdTimeout=30
MessageTimeout=10
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n1 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=17818 CPUs=2 RealMemory=$memory State=UNKNOWN
NodeName=n2 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=17819 CPUs=2 RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES PriorityTier=1 GraceTime=15 MaxTime=INFINITE State=UP
PartitionName=urgent Nodes=ALL PriorityTier=9 PreemptMode=OFF MaxTime=INFINITE State=UP
CONF
}

export SLURM_CONF=$folder/slurm.conf
case $command in
  stop) stop ;;
  node) slurmd -N "$3" ;;
  start)
    install_what_is_missing
    [[ ! -d $folder ]] || stop
    write_settings
    slurmctld -c
    slurmd -N n1
    slurmd -N n2
    for _ in $(seq 30); do
      [[ $(sinfo -h -N -p main -o %t 2>/dev/null | grep -c idle) == 2 ]] && exit
      sleep 1
    done
    sinfo -N
    tail -n 30 "$folder/slurmctld.log"
    exit 1
    ;;
  *)
    echo "unknown: $command; accepted: start, stop, node" >&2
    exit 2
    ;;
esac
