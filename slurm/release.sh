#!/usr/bin/env bash
# Merge a finished run, prove that the merged model answers alike, write the folder that transformers loads.
#   sbatch slurm/release.sh [RUN_DIR] [DESTINATION]
# Flags of sbatch override the lines below: sbatch --partition=gpu --time=8:00:00 slurm/release.sh
# EMOREASON_DRY_RUN=1 prints the command and runs nothing. A release that is there already stays.
#SBATCH --job-name=release
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=1:00:00
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-$PWD}" # SLURM runs a copy of this script, from another folder
source slurm/launch.sh

run_dir=${1:-runs/qwen2_5_vl_7b/stage3_grpo}
single release "$run_dir" "${2:-$(dirname "$run_dir")/release}"
