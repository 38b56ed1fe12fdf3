"""
Everything on one page
======================

A colleague asks what the model looks at. The answer is a file: scores, maps, connections, tests
and versions on one page that loads nothing from outside.
"""

# %%
# A model of simulated subjects, and an explanation of those it has not seen.

import tempfile
from pathlib import Path

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from skeegformer import (
    AttentionExplainer,
    Explanation,
    make_eeg_pipeline,
    make_simulated_eeg,
)

X, y, metadata, truth = make_simulated_eeg(snr=10.0, random_state=0)
subjects = metadata["subject"].to_numpy()
train = subjects <= 6
pipeline = make_eeg_pipeline(max_epochs=30, random_state=0)
pipeline.fit(X[train], y[train])
score = balanced_accuracy_score(y[~train], pipeline.predict(X[~train]))
print(f"Simulated: balanced accuracy on unseen subjects {score:.2f} (chance 0.50)")
explainer = AttentionExplainer("rollout", connections=True)
explanation = explainer.explain(pipeline, X[~train], y[~train])
print(explanation)
explanation.plot_topomap(by="class", names=2)

# %%
# Save and load
# -------------
# The file contains arrays and text, and nothing that is executed.

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "explanation.safetensors")
    explanation.save(file)
    print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")
    loaded = Explanation.load(file)
print(np.array_equal(loaded.values, explanation.values))

# %%
# As a table, for whatever statistics you like:

explanation.to_dataframe().head()

# %%
# The page
# --------
# The explanation is tested first.

faithfulness = explanation.evaluate(random_state=0)
report = explanation.to_report(
    "report.html", title="Left and right", faithfulness=faithfulness, overwrite=True
)

# %%
# .. raw:: html
#
#    <p><a href="report.html">Open the page by itself</a></p>
#    <iframe src="report.html" title="Report"
#            style="width: 100%; height: 700px; border: 1px solid #ccc"></iframe>
#
# It is a :class:`mne.Report`: sections of your own, such as a table of scores
# (``report.add_html(scores.to_html(), "Scores")``), are added with its methods, and saved with
# ``report.save``.
