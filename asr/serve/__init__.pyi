from .service import run_server as run_server, serve as serve
from .settings import ServeSettings as ServeSettings, read_token as read_token
