"""What an epoch has come to so far: sums from which its line of the log is made."""

from dataclasses import dataclass, field
from statistics import median


@dataclass
class Tally:
    """Sums over the batches of an epoch that are done, those of all processes; JSON types only."""

    position: int = 0  # batches done
    loss: float = 0.0
    tokens: float = 0.0
    amount: float = 0.0  # of data learnt from: seconds of audio, or tokens of text
    skipped: int = 0  # steps whose loss or gradient was not finite
    learning_rate: float = 0.0  # of the last step
    elapsed_s: float = 0.0
    norms: list[float] = field(default_factory=list)  # of the gradient, before it was clipped

    def add(self, loss: float, tokens: float, amount: float, norm: float) -> None:
        """Count a step that was made."""
        self.loss += loss
        self.tokens += tokens
        self.amount += amount
        self.norms.append(norm)

    def figures(self, clip_norm: float, rate: str) -> dict[str, float]:
        """The line of the log; `rate` names the amount of data learnt from in a second."""
        norms = self.norms or [0.0]
        elapsed_s = max(self.elapsed_s, 1e-9)
        return {
            "train_loss": self.loss / max(self.tokens, 1),
            "skipped_steps": self.skipped,
            "grad_norm": median(norms),
            "grad_norm_max": max(norms),
            "clipped": sum(norm > clip_norm for norm in norms) / len(norms),
            "learning_rate": self.learning_rate,
            "seconds": elapsed_s,
            rate: self.amount / elapsed_s,
        }
