from .bundle import (
    COPIED as COPIED,
    GRAPH as GRAPH,
    INDEX as INDEX,
    NOISY as NOISY,
    Bundle as Bundle,
    BundleInfo as BundleInfo,
    checkpoint_digest as checkpoint_digest,
    is_bundle as is_bundle,
    read_bundle as read_bundle,
    reseal as reseal,
    write_bundle as write_bundle,
)
from .graph import export_graph as export_graph, quantized as quantized
from .network import Network as Network
from .soundness import (
    check_graph as check_graph,
    checked_log_probs as checked_log_probs,
    errors_of as errors_of,
)
