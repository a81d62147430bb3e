from .explanation import Explanation as Explanation, explain as explain
from .gates import Trace as Trace, trace_network as trace_network
from .pages import save_arrays as save_arrays, write_explanation as write_explanation
from .piece import MOST_S as MOST_S
from .reach import Reach as Reach, gradient_norms as gradient_norms
from .words import SpokenWord as SpokenWord
