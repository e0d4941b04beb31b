#!/usr/bin/python3
# Writes model.pt: a small network in PyTorch as a TorchScript module, which members of a federation
# train without Python. Needs Debian's python3-torch.
#
#   ./make_model.py [FILE]
import sys

import torch
from torch import nn

torch.manual_seed(1)
model = nn.Sequential(
    nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(32 * 7 * 7, 10))
path = sys.argv[1] if len(sys.argv) > 1 else "model.pt"
torch.jit.script(model.eval()).save(path)
print(f"{path}: {sum(p.numel() for p in model.parameters())} parameters, all of them trained")
