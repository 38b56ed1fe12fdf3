import importlib.metadata
import os
import shutil
import warnings
from pathlib import Path

project = "skeegformer"
copyright = "2026, the skeegformer developers"
release = version = importlib.metadata.version("skeegformer")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
# Links to other projects need the internet; where there is none, names are printed as they are.
if "READTHEDOCS" in os.environ:
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
        "mne": ("https://mne.tools/stable", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }
# Every attribute is described in its class; pages of their own would be empty.
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False
autosummary_generate = True
autodoc_default_options = {"members": True, "inherited-members": False}
# Single backticks link to whatever is documented under that name.
default_role = "py:obj"
templates_path = ["_templates"]
exclude_patterns = ["_build", "examples"]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Examples print what they have to say; the warning repeats a verdict that is printed.
os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")
warnings.filterwarnings("ignore", message=".* and what the model needs disagree")
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("skeegformer",),
    "reference_url": {"skeegformer": None},
    "capture_repr": ("_repr_html_",),
    "min_reported_time": 1,
    "remove_config_comments": True,
    "show_signature": False,
    "download_all_examples": False,
    "abort_on_example_error": True,
    "parallel": 2,
}

html_theme = "pydata_sphinx_theme"
html_title = "skeegformer"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
}
# Pages have no sections of their own in the left column: the text gets its place.
html_sidebars = {"**": []}


def setup(app):
    """Put the pages that examples write beside the examples' own."""
    app.connect("build-finished", _copy_pages)


def _copy_pages(app, exception):
    if exception is None and app.builder.format == "html":
        for page in Path(app.srcdir, "examples").glob("*.html"):
            shutil.copy(page, Path(app.outdir, "gallery"))
