"""The acoustic model: features to log-probabilities of tokens."""

from torch import Tensor, nn

from asr.config import Config
from asr.features import Mfcc
from asr.lstm import RecurrentStack
from asr.subsampling import ConvFront, FrameStack


class AcousticModel(nn.Module):
    """MFCC front end, stacking or convolution, deep recurrent network, linear layer, log-softmax.

    The front end has no trained weights; it is a part so that training and recognition cannot
    disagree about a frame. A second linear layer may read phones from the same network. Shapes: N
    utterances, L samples, T feature frames, T' output frames, V tokens or phones (0 is the blank).
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
        """Time between two frames of log-probabilities, a whole number of samples.

        So it may differ from what is configured: at 11,025 Hz 10 ms are 110 samples, not 110.25.
        """
        samples = self.frontend.hop_length * self.config.model.stack
        return 1000 * samples / self.config.features.sample_rate_hz

    def outputs(self, features: Tensor, num_frames: Tensor) -> tuple[list[Tensor], Tensor]:
        """(N, T, F) features to natural-log probabilities (N, T', V) of tokens, and of phones if
        the model has them, and int64 (N,) frames.
        """
        frames, num_frames = self.front(features, num_frames)
        hidden = self.network(frames, num_frames)
        layers = filter(None, (self.output, self.phone_output))
        return [layer(hidden).log_softmax(dim=2) for layer in layers], num_frames

    def forward(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, F) features to log-probabilities of tokens (N, T', V) and int64 (N,) frames."""
        log_probs, num_frames = self.outputs(features, num_frames)
        return log_probs[0], num_frames

    def from_log_mel(self, log_mel: Tensor, num_frames: Tensor) -> tuple[list[Tensor], Tensor]:
        """(N, T, M) log-mel frames to what `outputs` gives."""
        return self.outputs(self.frontend.from_log_mel(log_mel, num_frames), num_frames)

    def from_waveforms(self, waveforms: Tensor, num_samples: Tensor) -> tuple[list[Tensor], Tensor]:
        """(N, L) waveforms to what `outputs` gives."""
        return self.outputs(*self.frontend(waveforms, num_samples))
