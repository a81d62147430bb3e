"""The acoustic model: from features to log-probabilities of tokens."""

from torch import Tensor, nn

from asr.config import Config
from asr.features import Mfcc
from asr.lstm import RecurrentStack
from asr.subsampling import ConvFront, FrameStack


class AcousticModel(nn.Module):
    """MFCC front end, stacking or convolutions, recurrent layers, a linear layer, log-softmax.

    The front end has no trained weights; it is part of the model so that training and recognition
    cannot disagree about a frame. A second linear layer can output phones. Shapes: N utterances,
    L samples, T feature frames, T' output frames, M mel bands, V tokens or phones (0 is the blank).
    """

    def __init__(self, config: Config, vocabulary_size: int, num_phones: int = 0) -> None:
        super().__init__()
        self.config = config
        self.frontend = Mfcc(config.features)
        front = ConvFront if config.model.conv_channels else FrameStack
        self.front = front(config.features, config.model)
        self.network = RecurrentStack(self.front.outputs, config.model)
        self.output = nn.Linear(self.network.outputs, vocabulary_size)
        self.phone_output = nn.Linear(self.network.outputs, num_phones) if num_phones else None

    @property
    def frame_shift_ms(self) -> float:
        """Time between two frames of log-probabilities, which is a whole number of samples.

        So it can differ from the configuration: at 11,025 Hz 10 ms are 110 samples, not 110.25.
        """
        samples = self.frontend.hop_length * self.config.model.stack
        return 1000 * samples / self.config.features.sample_rate_hz

    def outputs(self, features: Tensor, num_frames: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return natural-log probabilities (N, T', V) of tokens, then of phones if the model has
        them, for (N, T, F) features; and the int64 (N,) valid output frames.
        """
        frames, num_frames = self.front(features, num_frames)
        hidden = self.network(frames, num_frames)
        layers = filter(None, (self.output, self.phone_output))
        return [layer(hidden).log_softmax(dim=2) for layer in layers], num_frames

    def forward(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first of `outputs`, tokens (N, T', V), and the int64 (N,) output frames."""
        log_probs, num_frames = self.outputs(features, num_frames)
        return log_probs[0], num_frames

    def from_log_mel(self, log_mel: Tensor, num_frames: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return `outputs` for (N, T, M) log-mel frames."""
        return self.outputs(self.frontend.from_log_mel(log_mel, num_frames), num_frames)

    def from_waveforms(self, waveforms: Tensor, num_samples: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return `outputs` for (N, L) waveforms."""
        return self.outputs(*self.frontend(waveforms, num_samples))
