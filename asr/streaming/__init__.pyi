from .live import run_live as run_live
