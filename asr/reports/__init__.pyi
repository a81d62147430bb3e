from .audio import audio_url as audio_url
from .evaluation import JudgedUtterance as JudgedUtterance, write_report as write_report
from .page import PAGES as PAGES, write_page as write_page
