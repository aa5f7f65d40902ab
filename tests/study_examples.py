"""A small study over pictures: manifest, predictions, plan, a scripted reader."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time

import imagecodecs
import numpy as np
import polars as pl

from exam_examples import image
from fourview.evaluate.table import write_predictions
from fourview.manifest.manifest import make_manifest, manifest_hash, write_manifest
from fourview.serve.readings import Reading
from room_examples import TOKEN, Client

VIEWS = ("R-CC", "L-CC", "R-MLO", "L-MLO")
PLAN = """
name = "Pilot"
manifest = "manifest"
exams = "all"
predictions = "scores.parquet"
design = "{design}"
seed = 5
washout_days = {washout}
{more}

[questions]
recall = true
suspicion = true
marks = 2

{readers}
"""


def make_study(folder, *, exams=6, design="crossover", washout=0, more="", arms=("", "")):
    """Files of a study; truth, scores, ids and dates are words that can be looked for."""
    pixels = folder / "pixels"
    pixels.mkdir(parents=True)
    images, breasts, findings, rows = [], [], [], []
    for n in range(exams):
        keys = {"patient_id": f"PATIENT{n}", "exam_id": f"EXAM{n}"}
        for view in VIEWS:
            side, position = view.split("-")
            name = f"FILE{n}{side}{position}.png"
            drawn = image(view, size=(64, 48)).pixels
            (pixels / name).write_bytes(imagecodecs.png_encode(drawn))
            images.append(
                keys
                | {"image_id": f"IMAGE{n}{view}", "side": side, "view": position, "path": name}
                | {"spacing_mm": 1.0, "study_date": f"200101{n + 10}"}
            )
        for side in "RL":
            cancer = int(side == "R" and n % 2 == 0)
            breasts.append(keys | {"side": side, "cancer": cancer, "birads": 5 if cancer else 1})
            score = round(0.137 + 0.1 * n + 0.01 * (side == "L"), 4)
            rows.append(keys | {"unit": "breast", "side": side, "score": score})
            if cancer:
                box = {"x0": 11.125, "y0": 12.0, "x1": 20.0, "y1": 21.0}
                finding = {"finding_id": f"TRUTH{n}", "image_id": f"IMAGE{n}R-CC", "side": "R"}
                findings.append(
                    keys | finding | box | {"kind": "mass", "malignant": 1, "frame": "stored"}
                )
                mark = {"unit": "region", "image_id": f"IMAGE{n}R-CC", "score": score}
                rows.append(keys | mark | {"x0": 31.25, "y0": 8.0, "x1": 40.0, "y1": 17.0})
    manifest = make_manifest(
        source="SOURCENAME",
        root=pixels,
        images=pl.DataFrame(images),
        breasts=pl.DataFrame(breasts),
        findings=pl.DataFrame(findings),
        terms="made up",
    )
    write_manifest(manifest, folder / "manifest")
    table = pl.DataFrame(rows, infer_schema_length=None).with_columns(
        pl.lit("cancer").alias("class")
    )
    write_predictions(table, folder / "scores.parquet", {"manifest_hash": manifest_hash(manifest)})
    readers = "".join(
        f'[[readers]]\nname = "NAME{i}"\ncode = "R{i}"\n{f"arm = {arm!r}" if arm else ""}\n'
        for i, arm in enumerate(arms, start=1)
    )
    plan = folder / "study.toml"
    plan.write_text(PLAN.format(design=design, washout=washout, more=more, readers=readers))
    return plan


class ServedStudy:
    """``fourview serve --study`` in a process of its own, which can be killed and started again."""

    def __init__(self, plan, out):
        self.plan, self.out = plan, out
        self.token = plan.parent / "token"
        self.token.write_text(TOKEN)
        self.process = None

    def start(self, port=0):
        command = ["serve", "--study", str(self.plan), "-o", str(self.out), "--port", str(port)]
        command += ["--token-file", str(self.token)]
        code = f"from fourview.cli.main import main; main({command!r})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        url = self.process.stdout.readline().strip()
        assert url, "the server did not start"
        client = Client(url)
        while True:  # the URL is printed before the first request is taken
            try:
                client.json("/api/session")
            except OSError:
                time.sleep(0.05)
            else:
                return url

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


class ScriptedReader:
    """Answers what a rule says, and keeps every byte that it is sent."""

    def __init__(self, url, code, pin="1234", token=TOKEN):
        self.client = Client(url, token)
        self.heard = []
        status, told = self.client.json("/api/study/login", "POST", {"code": code, "pin": pin})
        self.status, self.told = status, told
        self.headers = {"X-Reader": told.get("session", "")}

    def get(self, path):
        status, headers, body = self.client.request("GET", path, **self.headers)
        assert status == 200, body
        self.heard.append(body + repr(headers).encode())
        return body

    def next(self):
        return json.loads(self.get("/api/study/next"))

    def pixels(self, key):
        """The quarter-size level of an image, as the page would load it."""
        self.get(f"/api/images/{key}/display")
        self.get(f"/api/images/{key}/table")
        return np.frombuffer(self.get(f"/api/images/{key}/pixels?level=2"), "<u2")

    def send(self, exam, answers, submission=None):
        body = {
            "submission": submission or secrets.token_hex(12),
            "exam": exam["key"],
            "answers": answers,
            "duration_ms": 1234.5,
            "paused_ms": 0.0,
            "events": [
                {"at": 0, "what": "heatmap", "detail": "on"},
                {"at": 1000, "what": "heatmap", "detail": "off"},
            ],
            "screen": {"agent": "script", "width": 1600},
        }
        return self.client.json("/api/study/send", "POST", body, **self.headers)


def reading(submission="s1", **more):
    """One that a reader gave; R1's of a breast, unaided."""
    values = {
        "submission": submission,
        "reader": "R1",
        "arm": "unaided",
        "exam": ("p", "e"),
        "answers": {"suspicion": {"R": 10.0}},
        "duration_ms": 5.0,
        "paused_ms": 0.0,
        "screen": {},
    }
    return Reading(**(values | more))
