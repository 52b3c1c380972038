#!/usr/bin/env bash
# Greedy answers and metrics of a checkpoint on the recipe's test sets, in one process.
#   sbatch slurm/evaluate.sh [RECIPE] [KEY.PATH=VALUE ...]
# Flags of sbatch override the lines below: sbatch --partition=gpu --time=8:00:00 slurm/evaluate.sh
# EMOREASON_DRY_RUN=1 prints the command and runs nothing. Submitted again, it skips the test sets that are done.
#SBATCH --job-name=evaluate
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=4:00:00
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-$PWD}" # SLURM runs a copy of this script, from another folder
source slurm/launch.sh

single evaluate "${1:-recipes/qwen2_5_vl_7b/evaluate.yaml}" "${@:2}"
