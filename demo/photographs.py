"""The photographs in the scikit-image wheel, with captions of ours: for the demo where there is no apt."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Final

CAPTIONS: Final = {
    "astronaut.png": "An astronaut in an orange space suit smiles before a flag",
    "brick.png": "A wall of bricks, seen from the front",
    "camera.png": "A man with a camera on a tripod in a field",
    "cell.png": "A single cell under a microscope",
    "chelsea.png": "The face of a ginger cat, close up",
    "clock_motion.png": "A wall clock, blurred by motion",
    "coffee.png": "A cup of espresso with a spoon on a wooden table",
    "coins.png": "Rows of ancient Greek coins on a dark cloth",
    "color.png": "Two colour wheels",
    "grass.png": "Blades of grass, seen from above",
    "gravel.png": "Grey gravel, seen from above",
    "horse.png": "The black silhouette of a horse",
    "hubble_deep_field.jpg": "Distant galaxies in the deep field of a space telescope",
    "ihc.png": "Stained tissue under a microscope",
    "logo.png": "A logo with a snake and an orange disc",
    "microaneurysms.png": "Small dark spots on a retina",
    "moon.png": "The cratered surface of the moon",
    "motorcycle_left.png": "A motorcycle in a garage",
    "page.png": "A page of printed text in uneven light",
    "phantom.png": "A phantom of ellipses as used in tomography",
    "retina.jpg": "The retina of a human eye",
    "rocket.jpg": "A rocket on its launch pad at night",
    "text.png": "Handwritten letters on paper",
}


def fetch(folder: Path) -> Path:
    """Return ``folder`` with the photographs that this wheel has and a ``metadata.jsonl`` beside them."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("skimage", name="scikit-image")
    shipped = Path(spec.origin).with_name("data")
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in CAPTIONS if (shipped / name).exists()]
    for name in names:
        shutil.copy(shipped / name, folder / name)
    lines = [json.dumps({"file_name": name, "text": CAPTIONS[name]}) for name in names]
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder
