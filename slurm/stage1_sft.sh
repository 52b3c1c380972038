#!/usr/bin/env bash
# Curriculum SFT, from the checkpoint and with the settings that the recipe names.
#   sbatch slurm/stage1_sft.sh [RECIPE] [KEY.PATH=VALUE ...]
# Flags of sbatch override the lines below: sbatch --nodes=2 --time=4:00:00 slurm/stage1_sft.sh
# EMOREASON_DRY_RUN=1 prints the commands and runs nothing. Five minutes before its time is over, the job writes a checkpoint and goes
# back to wait; submitted again, a run that was cut off goes on.
#SBATCH --job-name=stage1_sft
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --signal=USR1@300
#SBATCH --requeue
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-$PWD}" # SLURM runs a copy of this script, from another folder
VLLM_NODES=0 # it samples nothing
source slurm/launch.sh

launch "${1:-recipes/qwen2_5_vl_7b/stage1_sft.yaml}" "${@:2}"
