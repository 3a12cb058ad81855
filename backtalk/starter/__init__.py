"""The bundled first policy, its tokenizer, and the recipe that makes it again. Importing this is instant: heavy
libraries wait inside the functions.
"""

from pathlib import Path

FILES = Path(__file__).parent / "files"
"""The directory of the bundled first policy; `transformers` opens it as it is."""
