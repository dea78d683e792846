"""`csc plot attention` as typed."""

from __future__ import annotations

from matplotlib.image import imread


def test_pictures_and_arrays_of_speakers(csc, make_model_dir, make_data_dir, tmp_path):
    model, data, out = make_model_dir(), make_data_dir(speakers=3, utterances=2), tmp_path / "out"
    result = csc("plot", "attention", "--device", "cpu", "--most", 2, model, data, out)
    assert sorted(path.name for path in out.iterdir()) == ["spk0.npz", "spk0.png", "spk1.npz", "spk1.png"]
    assert "the first 2 of 3 speakers" in result.stderr
    assert result.stdout.startswith("spk0: spk0-utt0 ") and f"-> {out}/" in result.stdout
    one = imread(out / "spk0.png")
    assert one.shape[1] == 1500 and one[..., :3].std() > 0.05
    csc("plot", "attention", "--device", "cpu", "--speaker", "spk2", "--recordings", 1, model, data, out)
    assert imread(out / "spk2.png").shape[0] < one.shape[0], "a panel less"
    assert "has no speaker 'spk7'" in csc("plot", "attention", "--speaker", "spk7", model, data, out, status=1).stderr
