"""Marks written and read by the package invisible-watermark 0.2.0, for tests/evidence/test_watermark.py.

Run by `make oracles` in an environment of its own. Keeps, for a picture that scikit-image ships, what the
package changed (int8 differences) and the bits that it reads back.
"""

from pathlib import Path

import numpy as np
from imwatermark import WatermarkDecoder, WatermarkEncoder
from skimage import data

PAYLOADS = {
    "sd1": [int(b) for b in np.unpackbits(np.frombuffer(b"StableDiffusionV1", np.uint8))],
    "sdxl": [int(b) for b in bin(0b101100111110110010010000011110111011000110011110)[2:]],
    "flux": [int(b) for b in bin(0b001010101111111010000111100111001111010100101110)[2:]],
}


def main() -> None:
    picture = data.astronaut()[:256, 90:346]
    bgr = np.ascontiguousarray(picture[..., ::-1])
    found = {}
    for name, bits in PAYLOADS.items():
        encoder = WatermarkEncoder()
        encoder.set_by_bits(bits)
        marked = encoder.encode(bgr, "dwtDct")
        found[f"{name}_change"] = (marked.astype(np.int16) - bgr).astype(np.int8)[..., ::-1]
        for kind, image in (("marked", marked), ("clean", bgr)):
            read = WatermarkDecoder("bits", len(bits)).decode(image, "dwtDct")
            found[f"{name}_{kind}"] = np.array(read).astype(bool)
    np.savez_compressed(Path(__file__).parents[1] / "fixtures" / "watermarks.npz", **found)


if __name__ == "__main__":
    main()
