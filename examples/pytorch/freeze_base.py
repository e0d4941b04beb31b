#!/usr/bin/python3
# Writes head.pt: the network of model.pt with its convolutions frozen, so that only the last layer
# is trained and travels. Needs Debian's python3-torch.
#
#   ./freeze_base.py [MODEL.pt [FILE]]
import sys

import torch

source = sys.argv[1] if len(sys.argv) > 1 else "model.pt"
path = sys.argv[2] if len(sys.argv) > 2 else "head.pt"
model = torch.jit.load(source)
for parameter in model.parameters():
    parameter.requires_grad = False
last = list(model.children())[-1]
for parameter in last.parameters():
    parameter.requires_grad = True
model.eval().save(path)
count = lambda wanted: sum(p.numel() for p in model.parameters() if p.requires_grad == wanted)
print(f"{path}: {count(True)} parameters are trained and travel, {count(False)} stay as they are")
