from .audio import audio_url as audio_url
from .curves import CurvesPage as CurvesPage, State as State
from .evaluation import JudgedUtterance as JudgedUtterance, write_report as write_report
from .page import PAGES as PAGES, write_page as write_page
