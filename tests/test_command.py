"""The command line, verb by verb; errors are one line and exit code 2."""

import gzip
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

import skmultireduce
from skmultireduce import (
    LabelListClassifier,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
    load_model,
    save_model,
)
from skmultireduce._command.main import main
from skmultireduce._command.tuning import _judged
from skmultireduce.text import TfidfVectorizer

GOLDEN = Path(__file__).parent / "golden"
TOPICS = {"fruit": "apple pear plum", "metal": "iron zinc tin", "bird": "wren crow finch"}
COMMAND = [sys.executable, "-m", "skmultireduce"]


def rows(n_rows):
    """Texts and label lists; texts have odd words too."""
    for i in range(n_rows):
        labels = [name for k, name in enumerate(TOPICS) if (i >> k) % 2] or ["fruit"]
        yield " ".join(["the", *(TOPICS[name] for name in labels)]), labels


def write_rows(path, n_rows):
    found = list(rows(n_rows))
    kind = path.suffix
    if kind == ".parquet":
        pa = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        texts, labels = zip(*found, strict=True)
        parquet.write_table(pa.table({"text": list(texts), "labels": list(labels)}), path)
        return path
    if kind == ".svm":
        words = sorted({word for text, _ in found for word in text.split()})
        lines = [
            ",".join(sorted(str(list(TOPICS).index(label)) for label in labels))
            + "".join(f" {c + 1}:1" for c, word in enumerate(words) if word in text.split())
            for text, labels in found
        ]
    elif kind == ".csv":
        lines = ["id,text,labels", *(f'{i},{t},"{",".join(y)}"' for i, (t, y) in enumerate(found))]
    elif kind == ".jsonl":
        lines = [json.dumps({"text": text, "labels": labels}) for text, labels in found]
    else:
        lines = [" ".join(f"__label__{one}" for one in y) + " " + text for text, y in found]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Training and test files of each format, and a model of fastText's."""
    path = tmp_path_factory.mktemp("files")
    for suffix in ("txt", "csv", "jsonl", "parquet", "svm"):
        write_rows(path / f"train.{suffix}", 60)
        write_rows(path / f"test.{suffix}", 20)
    (path / "unlabelled.txt").write_text("apple pear\nzinc\n")
    (path / "unlabelled.csv").write_text("text,labels\napple,\n")
    noisy = (f"__label__{'ab'[i % 2]} word\n" for i in range(40))
    (path / "noisy.txt").write_text("".join(noisy))
    (path / "unknown.txt").write_text("__label__fish trout\n")
    (path / "empty.txt").write_text("\n\n")
    (path / "noise.txt").write_bytes(b"\xff\xfe\x00\x80 __label__x \xff\n" * 3)
    (path / "columns.csv").write_text("title,tags\napple,fruit\n")
    (path / "ragged.csv").write_text("text,labels\napple,fruit,more\n")
    (path / "quote.csv").write_text('text,labels\n"apple,fruit\n')
    (path / "broken.jsonl").write_text('{"text": "a", "labels": ["b"]}\n{"text"\n')
    (path / "list.jsonl").write_text("[1]\n")
    (path / "nested.jsonl").write_text('{"text": "a", "labels": [{}]}\n')
    (path / "number.jsonl").write_text('{"text": 5, "labels": ["b"]}\n')
    (path / "broken.parquet").write_bytes(b"PAR1 nothing")
    (path / "broken.svm").write_text("1 2:x\n")
    assert main(["train", str(path / "train.txt"), "-o", str(path / "model"), "-q"]) == 0
    save_model(MultiLabelSGDClassifier(), path / "unfitted")
    (path / "damaged").write_bytes((path / "model").read_bytes()[:-100])
    return path


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Run a command line; words that are names of files of the folder stand for their paths."""

    def call(line, text=""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        names = {one.name for one in folder.iterdir()}
        words = [str(folder / word) if word in names else word for word in line.split()]
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return code, out, err

    return call


# ------------------------------------------------------------------------ verbs
@pytest.mark.parametrize("kind", ["txt", "csv", "jsonl", "parquet", "svm"])
def test_formats(run, tmp_path, kind):
    model = tmp_path / "model"
    code, out, err = run(f"train train.{kind} -o {model}")
    assert (code, err) == (0, "")
    assert "60 rows, 3 labels" in out
    assert "one_vs_rest, squared_hinge, adjusted" in out
    code, out, err = run(f"test {model} test.{kind} -k 1 --json")
    assert (code, err) == (0, "")
    results = json.loads(out)
    assert results["rows"] == 20
    assert results["jaccard_micro"] == results["precision_at_1"] == 1
    line, labels = ("1:1 5:1 6:1", "0") if kind == "svm" else ("apple pear", "fruit")
    assert run(f"predict {model}", f"{line}\n")[:2] == (0, f"{labels}\n")
    _, out, _ = run(f"info {model} --json")
    assert json.loads(out)["command"] == f"skmultireduce train {out_path(out)} -o {model}"
    code, out, _ = run(f"explain {model} {line} -n 2")
    assert code == 0
    assert out.splitlines()[0].startswith(f"{labels}  ")


def out_path(out):
    """The training file of a command in the output of `info`."""
    return json.loads(out)["command"].split()[2]


@pytest.mark.parametrize(
    "options",
    [
        "--model mlp --dim 10 --epochs 20 --strategy global",
        "--model tree --min-precision 0.9",
        "--reduction pick_one --ngrams 2 --min-count 2 --scoring f1_macro",
        "--reduction one_vs_rest --loss log_loss --strategy per_label --words letters",
        "--valid test.txt",
        "--valid test.txt --tune --seed 3 --jobs 2",
        "--tune --time 1e-9",
    ],
)
def test_options_of_train(run, folder, tmp_path, options):
    model = tmp_path / "model"
    code, out, err = run(f"train train.txt test.txt -o {model} {options}")
    assert (code, err) == (0, "")
    assert ("stopped after" in out) == ("1e-9" in options)
    assert ("tune  " in out) == ("--tune" in options)
    assert ("on the validation rows" in out) == ("--valid" in options)
    loaded = load_model(model)
    assert loaded[-1].label_names_.tolist() == sorted(TOPICS)
    assert loaded[-1].cv is None
    _, out, _ = run(f"test {model} test.txt --json")
    assert json.loads(out)["jaccard_micro"] > 0.9


def test_tune_tries_what_is_not_given(run, tmp_path):
    _, out, _ = run(f"train train.txt -o {tmp_path / 'a'} --tune --loss log_loss")
    tried = [line for line in out.splitlines() if line.startswith("tune")]
    assert all("log_loss" in line for line in tried)
    assert any("pick_one" in line for line in tried)
    assert any("4.0" in line and "per_label" in line for line in tried)
    _, out, _ = run(
        f"train train.txt -o {tmp_path / 'b'} --tune --reduction pick_all --strategy global"
    )
    tried = [line for line in out.splitlines() if line.startswith("tune")]
    assert all("pick_all, log_loss" in line and "global" in line for line in tried)
    assert len(tried) == 5
    code, _, err = run(
        f"train noisy.txt -o {tmp_path / 'c'} --tune --min-precision 1 --strategy global"
    )
    assert code == 2
    assert "min_precision" in err


def test_columns(run, tmp_path):
    path, model = tmp_path / "rows.csv", tmp_path / "model"
    lines = ["title;body,fruit,metal,bird"]
    path = tmp_path / "rows.tsv"
    lines = ["\t".join(["title", "body", *TOPICS])]
    for text, labels in rows(40):
        lines.append("\t".join(["the", text, *(str(int(name in labels)) for name in TOPICS)]))
    path.write_text("\n".join(lines))
    options = f"--text title body --labels {' '.join(TOPICS)}"
    assert run(f"train {path} -o {model} {options}")[0] == 0
    _, out, _ = run(f"test {model} {path} --json")
    assert json.loads(out)["jaccard_micro"] == 1
    _, out, _ = run(f"predict {model} {path} --format csv")
    assert out.splitlines() == [
        " ".join(name for name in TOPICS if name in labels) for _, labels in rows(40)
    ]


def test_separators(run, tmp_path):
    path, model = tmp_path / "rows.csv", tmp_path / "model"
    lines = [f"{text},{'; '.join(f'my {one}' for one in y)}" for text, y in rows(40)]
    path.write_text("\n".join(["text,labels", *lines]))
    assert run(f"train {path} -o {model} --label-separator ;")[0] == 0
    _, out, _ = run(f"predict {model}", "apple wren\n")
    assert set(out.strip().split("\t")) == {"my fruit", "my bird"}
    _, out, _ = run(f"predict {model} --separator |", "apple wren\n")
    assert set(out.strip().split("|")) == {"my fruit", "my bird"}


def test_test(run):
    _, out, _ = run("test model test.txt -k 2 --per-label")
    assert out.startswith("20 rows\nP@2 ")
    assert "macro avg" in out
    _, out, _ = run("test model test.txt --per-label --json")
    assert json.loads(out)["per_label"]["bird"]["support"] > 0


def test_predict_gives_a_line_for_a_line(run, folder, tmp_path):
    text = "apple\n\n__label__metal zinc\r\nwren crow apple\nnothing known\n  \niron"
    _, out, _ = run("predict model", text)
    lines = out.splitlines()
    assert [set(line.split()) for line in lines[:1] + lines[2:4]] == [
        {"fruit"}, {"metal"}, {"fruit", "bird"},
    ]  # fmt: skip
    assert len(lines) == 7
    (tmp_path / "texts.gz").write_bytes(gzip.compress(text.encode()))
    assert run(f"predict model {tmp_path / 'texts.gz'}")[1] == out
    assert run("predict model", "")[1] == ""


def test_scores(run):
    _, out, _ = run("predict model --scores", "wren crow apple\n")
    words = out.split()
    assert set(words[::2]) == {"fruit", "bird"}
    assert float(words[1]) >= float(words[3])
    _, out, _ = run("predict model -k 2 --json", "wren crow\nzinc\n")
    first, second = map(json.loads, out.splitlines())
    assert [len(first), len(second)] == [2, 2]
    assert (first[0][0], second[0][0]) == ("bird", "metal")
    assert run("predict -k 1 model", "zinc\n")[1] == "metal\n"
    assert run("predict model -k 1 unlabelled.txt")[1] == "fruit\nmetal\n"


def test_explain(run):
    _, out, _ = run("explain model --label bird --json -n 3", "apple wren\nmore\n")
    records = list(map(json.loads, out.splitlines()))
    assert {record["label"] for record in records} == {"bird"}
    assert records[0]["feature"] == "wren"
    assert run("explain model -n 1 apple wren")[1] == run("explain model apple wren -n 1")[1]


def test_info(run):
    _, out, _ = run("info model")
    assert "MultiLabelSGDClassifier" in out
    assert f"skmultireduce {skmultireduce.__version__}, scikit-learn" in out
    assert run("info model --labels")[1].split() == sorted(TOPICS)
    assert json.loads(run("info model --labels --json")[1]) == sorted(TOPICS)


def test_models_of_programs(run, tmp_path):
    from sklearn.pipeline import make_pipeline

    texts, lists = zip(*rows(60), strict=True)
    model = LabelListClassifier(
        make_pipeline(
            TfidfVectorizer(), MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
        )
    ).fit(list(texts), lists)
    save_model(model, tmp_path / "model")
    assert run(f"predict {tmp_path / 'model'}", "zinc\n")[1] == "metal\n"
    assert "save_model of a program" in run(f"info {tmp_path / 'model'}")[1]
    assert json.loads(run(f"test {tmp_path / 'model'} test.txt --json")[1])["f1_micro"] == 1


def test_demo(run, tmp_path):
    figure = tmp_path / "curve.png"
    code, out, _ = run(f"--figure {figure}")
    assert code == 0
    lines = {line[:29].strip(): line[29:].split() for line in out.splitlines()}
    method, plain = lines["pick-one softmax, one cutoff"], lines["the same, cut at 0.5"]
    best = lines["one-vs-rest hinge, adjusted"]
    assert 0 < float(plain[0]) < float(method[0]) - 0.1
    assert float(method[0]) < float(best[0])
    assert figure.stat().st_size > 5000
    code, _, err = run(f"demo --figure {figure}")
    assert (code, "--force" in err) == (2, True)


def test_without_a_verb_in_a_process(tmp_path):
    done = subprocess.run(COMMAND, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "pick-one softmax, one cutoff" in done.stdout
    assert not list(tmp_path.iterdir())


# ----------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fly", "invalid choice"),
        ("train train.txt", "required: -o/--output"),
        ("train -o new", "required: FILE"),
        ("train none.txt -o new", "none.txt: No such file"),
        ("train train.txt -o model", "--force replaces it"),
        ("train train.txt -o train.txt --force", "is also read"),
        ("train train.txt -o /", "is a directory"),
        ("train train.txt -o nowhere/new", "no directory"),
        ("train train.txt -o new --valid none.txt", "none.txt: No such file"),
        ("train train.txt -o new --valid unlabelled.txt", "no label that the model knows"),
        ("train unlabelled.txt -o new", "has no label: no word starts with '__label__'"),
        ("train unlabelled.csv -o new", "has no label in any row"),
        ("train empty.txt -o new", "no rows"),
        ("train noise.txt -o new", "seems to be in utf-16"),
        ("train columns.csv -o new", "no column 'text', but 'title', 'tags'; name it by --text"),
        ("train ragged.csv -o new", "line 2: not as many cells as columns"),
        ("train quote.csv -o new", "line"),
        ("train broken.jsonl -o new", "line 2: no JSON"),
        ("train list.jsonl -o new", "line 1: an object is needed"),
        ("train nested.jsonl -o new", "which is no label"),
        ("train number.jsonl -o new", "not a text"),
        ("train broken.parquet -o new", "no Parquet file, or damaged"),
        ("train broken.svm -o new", "broken.svm, line 1"),
        ("train train.csv train.svm -o new", "formats csv, svmlight"),
        ("train train.txt -o new --reduction pick_one --loss squared_hinge", "--loss squared_"),
        ("train train.txt -o new --dim 5", "--dim is for --model mlp"),
        ("train train.svm -o new --ngrams 2", "--ngrams is for texts"),
        ("train train.txt -o new --scoring none", "scoring"),
        ("train train.txt -o new --min-precision 2", "not in 0 to 1"),
        ("train train.txt -o new --epochs 0", "not at least 1"),
        ("train train.txt -o new --min-count 1000", "Lower --min-count"),
        ("train train.txt -o new --encoding utf-99", "utf-99"),
        ("test model", "required: FILE"),
        ("test none.model test.txt", "none.model: No such file"),
        ("test train.txt test.txt", "is no model file of skmultireduce"),
        ("test damaged test.txt", "is no model file of skmultireduce, or it is damaged"),
        ("test unfitted test.txt", "not fitted to label sets"),
        ("test model none.txt", "none.txt: No such file"),
        ("test model unlabelled.txt", "no label that the model knows in any row"),
        ("test model unknown.txt", "no label that the model knows in any row"),
        ("test model test.svm", "labels"),
        ("test model test.txt -k 0", "-k 0 is not at least 1"),
        ("predict none.model", "none.model: No such file"),
        ("predict damaged", "is no model file of skmultireduce"),
        ("predict model none.txt", "none.txt: No such file"),
        ("predict model noise.txt", "not utf-8"),
        ("predict model --encoding utf-99", "utf-99"),
        ("predict model --format csv", "reads a file"),
        ("predict model columns.csv --format csv", "no column 'text'"),
        ("predict model -k 0", "-k 0 is not at least 1"),
        ("explain model zinc --label fish", "no label 'fish'"),
        ("explain model zinc -n 0", "-n 0 is not at least 1"),
        ("explain damaged zinc", "is no model file of skmultireduce"),
        ("info none.model", "none.model: No such file"),
        ("info empty.txt", "is no model file of skmultireduce"),
        ("info .", "Is a directory"),
    ],
)
def test_errors_are_one_line(run, folder, tmp_path, monkeypatch, line, message):
    monkeypatch.chdir(tmp_path)
    code, _out, err = run(line, "zinc\n")
    *warnings, last = err.splitlines()
    assert code == 2
    assert message in last
    assert last.startswith("skmultireduce")
    assert ": error: " in last
    assert all(": warning: " in one for one in warnings)
    assert not list(tmp_path.iterdir())


def test_output_is_checked_before_training(run, tmp_path):
    begin = time.process_time()
    assert run(f"train train.txt -o {tmp_path / 'no' / 'model'}")[0] == 2
    assert time.process_time() - begin < 0.5
    assert run(f"train train.txt -q -o {tmp_path / 'model'}") == (0, "", "")
    before = (tmp_path / "model").read_bytes()
    assert run(f"train train.txt -q -o {tmp_path / 'model'} --epochs 1")[0] == 2
    assert (tmp_path / "model").read_bytes() == before
    assert run(f"train train.txt -q -o {tmp_path / 'model'} --epochs 1 --force")[0] == 0
    assert (tmp_path / "model").read_bytes() != before


def test_explain_knows_linear_models(run, tmp_path):
    assert run(f"train train.txt -q -o {tmp_path / 'model'} --model tree")[0] == 0
    code, _, err = run(f"explain {tmp_path / 'model'} zinc")
    assert (code, "explain knows linear models" in err) == (2, True)


def test_help(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"  {verb} " in out for verb in ("train", "test", "predict", "explain", "info"))
    for verb in ("train", "test", "predict", "explain", "info", "demo"):
        code, out, _ = run(f"{verb} --help")
        assert (code, out.startswith(f"usage: skmultireduce {verb} ")) == (0, True)


def test_version(run):
    assert run("--version")[:2] == (0, f"skmultireduce {skmultireduce.__version__}\n")


# ---------------------------------------------------------------------- streams
def test_lines_come_before_the_input_ends(folder):
    process = subprocess.Popen(
        [*COMMAND, "predict", folder / "model"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        for word, label in (("zinc", b"metal\n"), ("wren", b"bird\n")):
            process.stdin.write(f"{word}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline() == label
        # A reader that goes away is no error to tell of.
        process.stdout.close()
        process.stdin.write(b"zinc\n" * 10)
        process.stdin.close()
        assert process.wait() == 141


@pytest.mark.slow
def test_memory_does_not_grow(folder, tmp_path):
    code = (
        "import resource, sys\nfrom skmultireduce._command.main import main\n"
        "main(sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    peaks = []
    for n_rows in (5_000, 100_000):
        path = tmp_path / "texts"
        path.write_text("".join(f"{text}\n" for text, _ in rows(n_rows)))
        with path.open("rb") as lines:
            done = subprocess.run(
                [sys.executable, "-c", code, "predict", folder / "model", "-"],
                stdin=lines, capture_output=True, text=True, check=True,
            )  # fmt: skip
        assert done.stdout.count("\n") == n_rows
        peaks.append(int(done.stderr))
    assert peaks[1] < 1.05 * peaks[0]


def test_model_of_another_scikit_learn(run):
    """A file that the command line wrote with scikit-learn 1.6 predicts what it did there."""
    code, out, _ = run(f"predict {GOLDEN / 'words-sklearn-1.6.model'} --scores", GOLDEN_TEXTS)
    assert code == 0
    expected = (GOLDEN / "words-sklearn-1.6.txt").read_text()
    for line, wanted in zip(out.splitlines(), expected.splitlines(), strict=True):
        assert line.split()[::2] == wanted.split()[::2]
        np.testing.assert_allclose(
            [float(word) for word in line.split()[1::2]],
            [float(word) for word in wanted.split()[1::2]],
            rtol=1e-4,
        )


GOLDEN_TEXTS = "".join(f"{text}\n" for text, _ in rows(8)) + "zinc wren\nnothing\n"


def test_tune_compares_forms_of_the_cutoff_on_rows_that_they_have_not_seen():
    """On noise, 30 cutoffs fit the rows that they are tuned on far better than one does."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 5)), (rng.random((200, 30)) < 0.1).astype(np.int8)
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", alpha=1e-3, random_state=0)
    cutoff = ThresholdedMultiLabel(model, random_state=0)
    folds = np.arange(200) % 4
    splits = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(4)]
    one, many = _judged(cutoff, {}, X, y, splits, ["global", "per_label"])
    own = [_judged(cutoff, {}, X, y, splits, [name])[0] for name in ("global", "per_label")]
    assert own[1].score > own[0].score + 0.01
    assert one.score > many.score

    models = [model.fit(X[train], y[train]).predict_proba(X) for train, _ in splits]
    scores = np.select([folds[:, None] == k for k in range(4)], models)
    expected = []
    for k in range(4):
        rest, here = folds != k, folds == k
        order = np.argsort(-scores[rest], axis=None)
        tp = np.cumsum(y[rest].ravel()[order])
        best = int(np.argmax(tp / (y[rest].sum() + np.arange(1, len(tp) + 1) - tp)))
        middle = scores[rest].ravel()[order[best : best + 2]].mean()
        expected.append(jaccard_score(y[here], scores[here] > middle, average="micro"))
    assert one.score == pytest.approx(np.mean(expected), rel=1e-9)
