"""The one door through which all input enters: what is checked is returned, nothing is changed."""

from skeegformer._validation._eeg import (
    EEGData,
    refuse_other_objects,
    remember_input,
    validate_eeg,
    validate_signal,
)
from skeegformer._validation._epochs import as_epochs, eeg_picks, in_memory, is_epochs
from skeegformer._validation._labels import (
    plain_labels,
    refuse_other_spelling,
    refuse_single_class,
    rows_by_subject,
    validate_groups,
    validate_labels,
    validate_weights,
)
from skeegformer._validation._memmap import (
    BATCH,
    VOLTS_TO_MICROVOLTS,
    MappedEpochs,
    batches_of,
    choose,
    read_rows,
    slices,
)
from skeegformer._validation._parameters import (
    check_band,
    check_count,
    check_info,
    check_number,
    check_one_of,
    check_positive,
    in_channel_order,
    listed,
    optional_positive,
    positive,
    refuse_slow,
    validate_ch_names,
)
from skeegformer._validation._processing import other_places, warn_of_unprocessed
from skeegformer._validation._scale import in_other_unit, warn_of_odd_epochs
