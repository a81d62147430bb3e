from .cost import Cost as Cost, Machine as Machine, measure_cost as measure_cost
from .dataset import write_clean as write_clean
from .examination import Examination as Examination, examine as examine
from .model import examine_model as examine_model
from .page import write_html as write_html
from .report import Report as Report
from .selftest import (
    SelfTest as SelfTest,
    choose_handful as choose_handful,
    learn_by_heart as learn_by_heart,
)
from .writing import examples_of_writing as examples_of_writing
