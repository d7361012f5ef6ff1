"""Makes the squares that `configs/train/pictures-starter.yaml` trains on, from photographs in a folder (CARD.md names them).

    python make_photographs.py FOLDER -o photographs.npz

Each photograph, its shorter side made 512 pixels, gives the squares at its two ends and its centre, as far as they are apart; one of
at least 2000 pixels also four squares in the corners at half its size.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, LARGE = 512, 2000


def squares(picture: Image.Image) -> list[np.ndarray]:
    factor = SIDE / min(picture.size)
    small = picture.resize((max(SIDE, round(picture.width * factor)), max(SIDE, round(picture.height * factor))), Image.Resampling.LANCZOS)
    far = max(small.size) - SIDE
    starts = sorted({0, far // 2, far}) if far > SIDE // 2 else sorted({0, far})
    wide = small.width > small.height
    corners = [(small, (at, 0) if wide else (0, at)) for at in starts]
    if min(picture.size) >= LARGE:
        half = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)
        corners += [(half, (left, top)) for left in (0, half.width - SIDE) for top in (0, half.height - SIDE)]
    return [np.asarray(source.crop((left, top, left + SIDE, top + SIDE))) for source, (left, top) in corners]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    made, names = [], []
    for path in sorted(args.folder.iterdir()):
        with Image.open(path) as picture:
            found = squares(picture.convert("RGB"))
        made += found
        names += [path.stem] * len(found)
    np.savez(args.output, images=np.stack(made), names=np.array(names))
    print(f"{args.output}: {len(made)} squares of {len(set(names))} photographs")


if __name__ == "__main__":
    main()
