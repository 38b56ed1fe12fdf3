import importlib.metadata

project = "skeegformer"
copyright = "2026, the skeegformer developers"
release = version = importlib.metadata.version("skeegformer")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_copybutton",
]
# Every attribute is described in its class; pages of their own would be empty.
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False
autosummary_generate = True
autodoc_default_options = {"members": True, "inherited-members": False}
# Single backticks link to whatever is documented under that name.
default_role = "py:obj"
templates_path = ["_templates"]
exclude_patterns = ["_build"]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "skeegformer"
html_show_sourcelink = False
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
