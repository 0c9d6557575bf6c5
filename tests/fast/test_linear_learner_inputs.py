"""Linear Learner reads what AWS documents, and says what is wrong with anything else."""

import json

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from linearlearner import channels, csv_rows, folders, hyperparameters, records
from linearlearner.errors import CustomerError, RowError

CSV = {"ContentType": "text/csv"}


def failure(call, *arguments):
    with pytest.raises(CustomerError) as caught:
        call(*arguments)
    return caught.value.failure


def in_channel(tmp_path, *contents, suffix="csv"):
    found = folders.Folders(tmp_path)
    found.channel("train").mkdir(parents=True)
    for number, content in enumerate(contents):
        (found.channel("train") / f"part-{number}.{suffix}").write_bytes(content)
    return found


def loaded(tmp_path, *contents, channel=None, **others):
    hyper = {"predictor_type": "binary_classifier", **others}
    where = in_channel(tmp_path, *contents)
    return channels.load("train", CSV if channel is None else channel, where, hyperparameters.read(hyper))


# The default values that the built-in algorithm's own log prints.
DEFAULTS = """accuracy_top_k 3, balance_multiclass_weights false, beta_1 auto, beta_2 auto, bias_lr_mult auto,
bias_wd_mult auto, binary_classifier_model_selection_criteria accuracy, early_stopping_patience 3,
early_stopping_tolerance 0.001, epochs 15, f_beta 1.0, feature_dim auto, huber_delta 1.0, init_bias 0,
init_method uniform, init_scale 0.07, init_sigma 0.01, l1 auto, learning_rate auto, loss auto, loss_insensitivity 0.01,
lr_scheduler_factor auto, lr_scheduler_minimum_lr auto, lr_scheduler_step auto, margin 1.0, mini_batch_size 1000,
momentum auto, normalize_data true, normalize_label auto, num_calibration_samples auto, num_models auto,
num_point_for_scaler 10000, optimizer auto, positive_example_weight_mult 1.0, quantile 0.5, target_precision 0.8,
target_recall 0.8, unbias_data auto, unbias_label auto, use_bias true, use_lr_scheduler true, wd auto"""


def test_every_documented_hyperparameter_is_known_with_its_default():
    documented = dict(pair.split() for pair in DEFAULTS.replace("\n", " ").split(", "))
    assert hyperparameters.defaults() == documented
    assert hyperparameters.TABLE.keys() - documented.keys() == {"predictor_type", "num_classes"}
    assert hyperparameters.read({"predictor_type": "regressor", **documented}) == hyperparameters.read(
        {"predictor_type": "regressor", "binary_classifier_model_selection_criteria": "accuracy"}
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("epochs", "0"),
        ("epochs", "1.5"),
        ("epochs", ""),
        ("mini_batch_size", "-1"),
        ("learning_rate", "0"),
        ("learning_rate", "nan"),
        ("wd", "-0.1"),
        ("beta_1", "1"),
        ("target_recall", "1.0"),
        ("quantile", "0"),
        ("momentum", "1"),
        ("normalize_data", "yes"),
        ("use_bias", "auto"),
        ("optimizer", "adagrad"),
        ("loss", "squared"),
        ("init_method", "zeros"),
        ("positive_example_weight_mult", "0"),
        ("binary_classifier_model_selection_criteria", "f1"),
        ("feature_dim", "22 features"),
    ],
)
def test_a_bad_value_is_refused_by_name(name, text):
    said = failure(hyperparameters.read, {"predictor_type": "binary_classifier", name: text})
    assert said.startswith("ClientError: ") and f"'{text}' is not a valid value for '{name}'" in said


@pytest.mark.parametrize(
    ("hyper", "said"),
    [
        ({}, "No value(s) were specified for 'predictor_type' which are required hyperparameter(s)"),
        ({"predictor_type": "multiclass_classifier"}, "No value(s) were specified for 'num_classes'"),
        (
            {"predictor_type": "multiclass_classifier", "num_classes": "2"},
            "'2' is not a valid value for 'num_c",
        ),
        (
            {"predictor_type": "regressor", "epoch": "1"},
            "Additional hyperparameters are not allowed ('epoch' was unexpected)",
        ),
        (
            {"predictor_type": "regressor", "loss": "logistic"},
            "loss 'logistic' is not for predictor_type 'regre",
        ),
        ({"predictor_type": "ranker", "epochs": "x"}, "'epochs'"),
    ],
)
def test_what_is_missing_unknown_or_does_not_fit_is_refused_in_awss_words(hyper, said):
    found = failure(hyperparameters.read, hyper)
    assert said in found and "(caused by ValidationError)" in found


def test_a_tuning_job_trains_one_model_and_other_names_of_sagemakers_own_are_passed_over():
    own = {"_tuning_objective_metric": "test:binary_f_beta", "_kvstore": "auto"}
    read = hyperparameters.read({"predictor_type": "regressor", "num_models": "8", **own})
    assert read.num_models == 1


@pytest.mark.parametrize("content", [b"1,2.5\n0,-3e1\n", b'"1","2.5"\r\n"0","-30"\r\n', b"1, 2.5\n\n0,-30"])
def test_csv_gives_its_numbers(content):
    assert csv_rows.parse(content).tolist() == [[1.0, 2.5], [0.0, -30.0]]


@pytest.mark.parametrize(
    ("content", "row", "column", "reason"),
    [
        (b"label,age\n1,2\n", 1, 1, "'label' is not a number"),
        (b"1,2\n1,old\n", 2, 2, "'old' is not a number"),
        (b"1,2\n1,\n", 2, 2, "is empty"),
        (b"1,2\n1,NaN\n", 2, 2, "not a finite"),
        (b"1,2\n1,1e99\n", 2, 2, "not a finite"),
        (b"1,2\n\n1,2,3\n", 3, 0, "has 3 columns, and the first row has 2"),
        (b"1;2\n", 1, 1, "'1;2' is not a number"),
        (b"1,2\n\xff,2\n", 2, 0, "UTF-8"),
    ],
)
def test_csv_that_is_no_numbers_is_refused_with_its_place(content, row, column, reason):
    with pytest.raises(RowError) as caught:
        csv_rows.parse(content)
    assert (caught.value.row, caught.value.column) == (row, column) and reason in caught.value.reason


def test_the_files_of_a_channel_are_read_in_order_of_their_names(tmp_path):
    rows = loaded(tmp_path, b"1,10,11\n0,20,21\n", b"1,30,31\n")
    assert rows.labels.tolist() == [1, 0, 1] and rows.features[:, 0].tolist() == [10, 20, 30]
    assert rows.features.dtype == rows.labels.dtype == np.float32


@pytest.mark.parametrize(
    ("content", "others", "said"),
    [
        (
            b"satisfied,age\n1,2\n",
            {},
            "part-0.csv, row 1, column 1: 'satisfied' is not a number: the file seems",
        ),
        (b"1,2\n0,old\n", {}, "Unable to parse csv: rows 1-1000, file "),
        (b"1,2\n0,nan\n", {}, "row 2, column 2: 'nan' is not a finite"),
        (
            b"30,4,1\n20,5,0\n",
            {},
            "row 1, column 1: 30 is not 0 or 1; the last column has nothing but 0 and 1",
        ),
        (b"1,2,3\n", {"feature_dim": "22"}, "row 1: has 2 features (and a label), and 22 are expected"),
        (b"", {}, "part-0.csv is empty"),
        (b"\n\n", {}, "No training data processed. Either the training channel is empty"),
        (b"1\n0\n", {}, "has a label and no feature"),
        (b"3,1\n", {"predictor_type": "multiclass_classifier", "num_classes": "3"}, "from 0 to 2"),
        (b"0.5,1\n", {"predictor_type": "multiclass_classifier", "num_classes": "3"}, "from 0 to 2"),
    ],
)
def test_bad_data_is_a_client_error_that_names_file_row_and_column(tmp_path, content, others, said):
    found = failure(lambda: loaded(tmp_path, content, **others))
    assert found.startswith("ClientError: ") and said in found


def test_a_second_file_with_other_columns_is_refused_by_its_name(tmp_path):
    assert "part-1.csv, row 1: has 1 features" in failure(lambda: loaded(tmp_path, b"1,2,3\n", b"1,2\n"))


def test_a_place_far_down_is_named_within_its_thousand_rows(tmp_path):
    content = b"1,2\n" * 2345 + b"1,x\n"
    assert "rows 2001-3000, file " in failure(lambda: loaded(tmp_path, content))


def test_fewer_rows_than_a_mini_batch_are_refused(tmp_path):
    rows = loaded(tmp_path, b"1,2\n0,3\n")
    channels.check_size(rows, 2)
    said = failure(channels.check_size, rows, 1000)
    assert "mini-batch size is too high" in said and "has 2 rows, and mini_batch_size is 1000" in said


@pytest.mark.parametrize(
    ("configured", "said"),
    [
        ({"validation": CSV}, "'train' is a required property"),
        ({"train": CSV, "eval": CSV}, "'eval'"),
        ({"train": {"ContentType": "csv"}}, "No iterator has been registered for ContentType ('csv', '1.0')"),
        ({"train": {"ContentType": "text/csv;label_size=2"}}, "the label is one column"),
        ({"train": {**CSV, "TrainingInputMode": "Pipe"}}, "Pipe mode"),
    ],
)
def test_channels_that_the_algorithm_lacks_are_refused(configured, said):
    assert said in failure(channels.check, configured)


def test_csv_in_a_channel_that_does_not_say_so_is_refused_as_recordio(tmp_path):
    said = failure(lambda: loaded(tmp_path, b"1,2\n", channel={}))
    assert "Requested content-type is 'application/x-recordio-protobuf'" in said


def record_class():
    """Amazon's Record as protobuf's own library has it, from the schema that AWS publishes."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="record.proto", package="aialgs.data", syntax="proto2")

    def add(name, *fields, holder=file.message_type):
        message = holder.add(name=name)
        for field, number, kind, repeated, type_name in fields:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            found = message.field.add(name=field, number=number, type=kind, label=label, type_name=type_name)
            if repeated and kind in (kinds.TYPE_FLOAT, kinds.TYPE_DOUBLE, kinds.TYPE_UINT64):
                found.options.packed = True
        return message

    for name, kind in (("Float32Tensor", kinds.TYPE_FLOAT), ("Float64Tensor", kinds.TYPE_DOUBLE)):
        add(
            name,
            ("values", 1, kind, True, None),
            ("keys", 2, kinds.TYPE_UINT64, True, None),
            ("shape", 3, kinds.TYPE_UINT64, True, None),
        )
    add(
        "Value",
        ("float32_tensor", 2, kinds.TYPE_MESSAGE, False, ".aialgs.data.Float32Tensor"),
        ("float64_tensor", 3, kinds.TYPE_MESSAGE, False, ".aialgs.data.Float64Tensor"),
    )
    record = add(
        "Record",
        ("features", 1, kinds.TYPE_MESSAGE, True, ".aialgs.data.Record.FeaturesEntry"),
        ("label", 2, kinds.TYPE_MESSAGE, True, ".aialgs.data.Record.LabelEntry"),
        ("uid", 3, kinds.TYPE_STRING, False, None),
        ("metadata", 4, kinds.TYPE_STRING, False, None),
    )
    for name in ("FeaturesEntry", "LabelEntry"):
        entry = add(
            name,
            ("key", 1, kinds.TYPE_STRING, False, None),
            ("value", 2, kinds.TYPE_MESSAGE, False, ".aialgs.data.Value"),
            holder=record.nested_type,
        )
        entry.options.map_entry = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data.Record"))


Record = record_class()


def framed(*messages):
    return b"".join(
        records.HEADER.pack(records.MAGIC, len(each)) + each + bytes(-len(each) % 4) for each in messages
    )


def record(values, label=None, keys=(), shape=(), tensor="float32_tensor"):
    made = Record(uid="abc123", metadata="{}")
    found = getattr(made.features["values"], tensor)
    found.values.extend(values)
    found.keys.extend(keys)
    found.shape.extend(shape)
    if label is not None:
        made.label["values"].float32_tensor.values.append(label)
    return made.SerializeToString()


def test_records_that_protobufs_own_library_wrote_are_read(tmp_path):
    wide = list(range(200))  # lengths and keys of more than one byte
    content = framed(
        record(wide, 1.0), record([7.5, 8.5], 0.0, keys=[3, 150], shape=[200]), record(wide[::-1], 1.0)
    )
    rows = loaded(tmp_path, content, channel={"ContentType": channels.RECORDS})
    assert rows.labels.tolist() == [1, 0, 1] and rows.features.shape == (3, 200)
    assert rows.features[0].tolist() == wide and rows.features[1].sum() == 16
    assert (rows.features[1, 3], rows.features[1, 150]) == (7.5, 8.5)


def test_what_is_written_protobufs_own_library_reads():
    content = records.write([{"score": [0.25, 0.75], "predicted_label": [1.0]}])
    magic, length = records.HEADER.unpack_from(content)
    assert magic == 0xCED7230A and len(content) == 8 + length + -length % 4
    found = Record.FromString(content[8 : 8 + length])
    assert list(found.label["score"].float32_tensor.values) == [0.25, 0.75]
    assert list(found.label["predicted_label"].float32_tensor.values) == [1.0] and not found.features


def test_a_record_that_was_cut_at_the_magic_number_is_put_together():
    message = record([1.0, float(np.frombuffer(b"\x0a\x23\xd7\xce", "<f4")[0]), 2.0])
    first, last = message.split(b"\x0a\x23\xd7\xce")
    pieces = [
        records.HEADER.pack(records.MAGIC, part << 29 | len(each)) + each + bytes(-len(each) % 4)
        for part, each in ((1, first), (3, last))
    ]
    [found] = records.read(b"".join(pieces))
    assert found.features.values[[0, 2]].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"1,2,3,4,5,6,7", "record 1|row 1: the content ends|magic"),
        (b"label,first,second\n1,2,3\n", "magic number"),
        (framed(record([1.0], 1.0))[:-8], "says that it has"),
        (framed(record([1.0], 1.0), record([1.0, 2.0], 1.0)), "row 2: has 2 features, and 1 are expected"),
        (framed(record([1.0], 1.0, tensor="float64_tensor")), "only float32 tensors are supported"),
        (framed(record([1.0], 1.0, keys=[5])), "sparse and has no shape"),
        (framed(record([1.0], 1.0, keys=[5], shape=[5])), "keys that don't fit"),
        (framed(record([1.0])), "row 1: has no single label"),
        (framed(record([float("nan")], 1.0)), "row 1, column 1: is not a finite number"),
        (framed(b"\xff\xff\xff"), "is no record in Amazon's format"),
    ],
)
def test_records_that_are_damaged_or_not_supported_are_refused(tmp_path, content, said):
    found = failure(lambda: loaded(tmp_path, content, channel={"ContentType": channels.RECORDS}))
    assert (
        any(each in found for each in said.split("|")) and "file /opt/ml/input/data/train/part-0.csv" in found
    )


@given(st.binary(max_size=60), st.integers(0, 60), st.integers(0, 255))
def test_no_bytes_at_all_make_anything_but_records_or_a_refusal(noise, place, byte):
    good = bytearray(framed(record([1.0, 2.0], 1.0, keys=[1, 3], shape=[4])))
    good[min(place, len(good) - 1)] = byte
    for content in (noise, framed(noise), bytes(good)):
        try:
            records.matrix([each.features for each in records.read(content)])
        except RowError as error:
            assert error.reason


def test_folders_are_those_of_the_contract_unless_another_base_is_given(tmp_path):
    assert str(folders.here({}).model) == "/opt/ml/model"
    found = folders.here({"SAGEMAKER_BASE_DIR": str(tmp_path)})
    assert found.hyperparameters == tmp_path / "input/config/hyperparameters.json"
    assert found.failure == tmp_path / "output/failure" and found.host() == "algo-1"
    found.resources.parent.mkdir(parents=True)
    found.resources.write_text(json.dumps({"current_host": "algo-2"}))
    assert found.host() == "algo-2"
    assert "hyperparameters.json" in failure(folders.read_json, found.hyperparameters)
