"""The main job as a command."""

import subprocess
import sys

import pytest

from skmultireduce.__main__ import main


@pytest.fixture
def files(tmp_path):
    """Two small files in fastText's format."""
    topics = {"fruit": "apple pear plum", "metal": "iron zinc tin", "bird": "wren crow finch"}
    paths = []
    for part, n_rows in (("train", 60), ("test", 20)):
        lines = []
        for i in range(n_rows):
            chosen = [name for k, name in enumerate(topics) if (i >> k) % 2] or ["fruit"]
            words = " ".join(topics[name] for name in chosen)
            lines.append(" ".join(f"__label__{name}" for name in chosen) + " " + words)
        paths.append(tmp_path / f"{part}.txt")
        paths[-1].write_text("\n".join(lines), encoding="utf-8")
    return paths


@pytest.mark.parametrize(
    "options",
    [
        ["--reduction", "pick_one"],
        ["--reduction", "one_vs_rest", "--loss", "squared_hinge", "--strategy", "per_label"],
        ["--reduction", "pick_all", "--strategy", "adjusted"],
    ],
)
def test_own_files(files, tmp_path, capsys, options):
    figure = tmp_path / "curve.png"
    train, test = map(str, files)
    assert main(["--train", train, "--test", test, "--figure", str(figure), *options]) == 0
    out = capsys.readouterr().out
    assert "60 rows" in out
    assert "P@1 1.000" in out
    tuned = next(line for line in out.splitlines() if line.startswith("tuned cutoff"))
    assert float(tuned.split()[2]) > 0.95
    assert figure.stat().st_size > 5000


def test_embedded_data_in_a_process(tmp_path):
    figure = tmp_path / "curve.png"
    done = subprocess.run(
        [sys.executable, "-m", "skmultireduce", "--figure", str(figure)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    tuned = next(line for line in lines if line.startswith("tuned cutoff"))
    untuned = next(line for line in lines if line.startswith("cutoff 0.5"))
    assert float(tuned.split()[2]) > float(untuned.split()[2]) + 0.1
    assert figure.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train", "x"], "go together"),
        (["--loss", "squared_hinge"], "one_vs_rest"),
        (["--reduction", "none"], "invalid choice"),
    ],
)
def test_bad_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err
