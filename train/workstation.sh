#!/usr/bin/env bash
# Trains on all GPUs of one machine, or on its CPU: train/workstation.sh CONFIG.yaml [key=value ...]
# A process that dies is started again up to three times, from the last checkpoint. PROCESSES=2 uses so many.
set -euo pipefail
gpus=$(python -c 'import torch; print(torch.accelerator.device_count() if torch.accelerator.is_available() else 0)')
processes=${PROCESSES:-$((gpus > 0 ? gpus : 1))}
if [ "$gpus" -eq 0 ]; then
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(($(nproc) / processes > 0 ? $(nproc) / processes : 1))}
fi
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-300} # seconds to save in when the launcher is stopped
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 # a store of its own for each start: in a shared one lie the addresses of dead processes
exec torchrun --standalone --nproc-per-node "$processes" --max-restarts 3 -m medrestore train "$@"
