# What a site is like: the only file here that a site edits. launch.sh sources it, in the submit folder.
# No secrets: `hf auth login` and `wandb login` keep their keys in your home folder.

# The environment that emoreason is installed in. Take the lines that fit your site.
# module load cuda
# source .venv/bin/activate
# set +u; source "$HOME/miniforge3/bin/activate" emoreason; set -u   # conda's own scripts read variables that are not set
# export SLURM_EXPORT_ENV=ALL   # where jobs are submitted with --export=NONE, so that tasks see what is exported here
CONTAINER=()    # before python in each task, e.g. (apptainer exec --nv --bind /scratch emoreason.sif)
SRUN_FLAGS=()   # of each srun, e.g. (--container-image=emoreason.sqsh --container-mounts="$PWD" --container-workdir="$PWD") for enroot, pyxis
SBATCH_FLAGS=() # of each job that pipeline.sh submits, e.g. (--account=me --partition=gpu)
TRAIN_FLAGS=()  # more of them for its training stages, e.g. (--nodes=4)
MAX_REQUEUES=${MAX_REQUEUES:-20} # a job that was sent back so often is not sent back again

# Caches, on a disk that every node sees, what the libraries may reach, and the network between the nodes.
# export HF_HOME=/scratch/$USER/huggingface
# export HF_HUB_OFFLINE=1   # for nodes without internet, once `hf download Qwen/Qwen2.5-VL-7B-Instruct` has filled the cache
# export NCCL_SOCKET_IFNAME=ib0 GLOO_SOCKET_IFNAME=ib0
export WANDB_MODE=${WANDB_MODE:-offline} # matters only to recipes with that tracker
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-4}
