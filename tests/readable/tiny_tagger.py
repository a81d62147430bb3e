"""A tagger with few and random weights; the weights decide nothing that a test relies on."""

import torch

from asr.config import TaggerConfig
from asr.readable import Tagger, TaggerInfo, TaggerNetwork

CONFIG = TaggerConfig(rows=50, embedding=6, layers=2, hidden=5)


def tiny_network(seed: int = 0) -> TaggerNetwork:
    torch.manual_seed(seed)
    return TaggerNetwork(CONFIG).eval().requires_grad_(False)


def tiny_tagger(forms: tuple[str, ...] = ("McFee",), *, english: bool = True) -> Tagger:
    return Tagger.of(tiny_network(), TaggerInfo(forms, english=english))
