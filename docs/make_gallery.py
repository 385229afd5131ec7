"""Run the scripts of docs/gallery, each of which draws one picture: `python docs/make_gallery.py [NAME …]`."""

import subprocess
import sys
import time
from pathlib import Path

GALLERY = Path(__file__).parent / "gallery"

if __name__ == "__main__":
    for script in sorted(GALLERY.glob("*.py")):
        if not sys.argv[1:] or script.stem in sys.argv[1:]:
            started = time.perf_counter()
            subprocess.run([sys.executable, script.name], cwd=GALLERY, check=True)
            print(f"{script.stem}: {time.perf_counter() - started:.1f} s")
