#!/usr/bin/env bash
# A folder of recipes as one line of jobs: each stage after the one that it starts from, an evaluation after each, a release in the end.
#   slurm/pipeline.sh RECIPES_DIR [--runs-dir DIR] [KEY.PATH=VALUE ...]
# Run it where you submit jobs, not by sbatch. Flags of sbatch for its jobs are in env.sh. Stages that have ended are left out, so the
# same command goes on after a job that failed. EMOREASON_DRY_RUN=1 prints the commands and submits nothing.
set -euo pipefail
source slurm/launch.sh

plan=$("${CONTAINER[@]}" python -m emoreason run "$@" --plan)
[[ -n $plan ]] || { echo "nothing is left to do"; exit; }
declare -A ids=()
while IFS=$'\t' read -r -a job; do
  name=${job[0]} script=${job[1]}
  # Singleton: where the line is submitted twice, the jobs of a name follow each other and never share a folder.
  depend=singleton flags=("${SBATCH_FLAGS[@]}")
  [[ $script != stage* ]] || flags+=("${TRAIN_FLAGS[@]}")
  IFS=, read -r -a before <<<"${job[2]}"
  for one in "${before[@]}"; do [[ $one == - ]] || depend+=,afterok:${ids[$one]}; done
  command=(sbatch --parsable --job-name="$name" --dependency="$depend" --kill-on-invalid-dep=yes "${flags[@]}" "slurm/$script" "${job[@]:3}")
  if [[ $DRY_RUN == 1 ]]; then
    print_command "${command[@]}"
    ids[$name]=$name
  else
    id=$("${command[@]}")
    ids[$name]=${id%%;*} # ID, or ID;CLUSTER
    printf '%s\t%s\t%s\n' "${ids[$name]}" "$name" "$depend"
  fi
done <<<"$plan"
[[ $DRY_RUN == 1 ]] || echo "Logs: NAME-ID.log here, and logs/ID/. Where a job fails, those after it are cancelled; the same command goes on from there."
