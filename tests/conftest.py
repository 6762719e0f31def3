"""One thread of linear algebra for every test: results and timings then depend on nothing else that runs."""

import torch

torch.set_num_threads(1)
