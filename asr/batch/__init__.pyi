from .inputs import (
    STDIN as STDIN,
    describe_left_out as describe_left_out,
    list_audio as list_audio,
    read_list as read_list,
)
from .jobs import (
    Job as Job,
    Outcome as Outcome,
    Outcomes as Outcomes,
    Transcriber as Transcriber,
    default_workers as default_workers,
    in_order as in_order,
    list_jobs as list_jobs,
    most_workers as most_workers,
    run_here as run_here,
)
from .naming import (
    distinct as distinct,
    recording_ids as recording_ids,
    with_digests as with_digests,
)
from .outputs import OutputFolder as OutputFolder, Printer as Printer, Sink as Sink
from .ray import run_on_ray as run_on_ray
from .workers import end_with_parent as end_with_parent, run_in_processes as run_in_processes
