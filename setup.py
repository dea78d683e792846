"""Package metadata; the settings of the tools are in pyproject.toml, the pinned versions in constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = re.search(r'__version__ = "(.+)"', (here / "csc_cli/__init__.py").read_text(encoding="utf-8"))[1]

setup(
    name="csc-cli",
    version=version,
    description="Speaker representations learned by separating voices (Contrastive Separative Coding)",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["csc_cli", "csc_cli.*"]),
    python_requires=">=3.11",
    install_requires=[
        "click>=8.1",
        "kaldiio>=2.18",
        "matplotlib>=3.8",
        "numba>=0.60",
        "numpy>=1.26",
        "pyyaml>=6.0",
        "rich>=13",
        "safetensors>=0.4",
        "scipy>=1.11",
        "soundfile>=0.12",
        "tensorboard>=2.14",
        "torch>=2.4",
        "torchaudio>=2.4",
    ],
    extras_require={
        "synth": ["espeakng-loader>=0.2.4"],
        "rooms": ["pyroomacoustics>=0.8"],
        "slurm": ["submitit>=1.5"],
        "test": [
            "espeakng-loader>=0.2.4",
            "hypothesis>=6.100",
            "mypy>=1.10",
            "pyroomacoustics>=0.8",
            "pytest>=8.2",
            "ruff>=0.6",
            "scikit-learn>=1.4",
            "soxr>=0.3",
            "speechbrain>=1.1",
            "types-PyYAML",
        ],
    },
    entry_points={"console_scripts": ["csc=csc_cli.cli.main:main"]},
)
