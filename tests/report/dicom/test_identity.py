"""Who an object is: same bytes, own identifiers, names kept, nothing else copied, the mark."""

import struct
from dataclasses import replace
from datetime import UTC, datetime

import pydicom
import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag

from dicom_examples import BIG, IMPLICIT, TWELVE, gradient, mammogram, write_mammogram
from dicom_output_examples import (
    CREATED,
    NAMES,
    exam_in,
    objects_of,
    parsed,
    prediction_of,
    write_exam,
)
from fourview.entities import LeftOut
from fourview.entities.reasons import Reason
from fourview.report.dicom.identity import RESEARCH, decimal, local_time, plain
from fourview.report.dicom.options import Predecessor

SECTION_3 = {
    *("SpecificCharacterSet", "StudyDate", "StudyTime", "AccessionNumber"),
    *("ReferringPhysicianName", "TimezoneOffsetFromUTC", "StudyDescription"),
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("PatientAge", "PatientIdentityRemoved", "DeidentificationMethod"),
    *("DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified"),
    *("StudyInstanceUID", "StudyID"),
}


def test_the_same_arguments_give_the_same_bytes(small_exam):
    one, two = objects_of(small_exam), objects_of(small_exam)
    assert {n: o.data for n, o in one.items()} == {n: o.data for n, o in two.items()}
    assert len(one) == 1 + 4 + 1 + 1 + 4


def identifiers(exam, prediction=None, **options):
    return {n: o.sop_instance for n, o in objects_of(exam, prediction, **options).items()}


def test_identifiers_are_valid_and_all_different(small_exam):
    uids = identifiers(small_exam)
    assert len(set(uids.values())) == len(uids)
    for uid in uids.values():
        assert uid.startswith("2.25.")
        assert len(uid) <= 44
        assert pydicom.uid.UID(uid).is_valid
    assert not set(uids.values()) & {i.image_id for i in small_exam.images}


@pytest.mark.parametrize(
    "change",
    ["score", "model", "created", "required_at", "predecessor", "box"],
)
def test_another_content_is_another_instance(change, small_exam):
    prediction, options = prediction_of(small_exam), {}
    if change == "score":
        breasts = (replace(prediction.breasts[0], score=0.87345678901234), prediction.breasts[1])
        prediction = replace(prediction, breasts=breasts)
    elif change == "model":
        prediction = replace(prediction, model_digest="cd" * 32)
    elif change == "created":
        options = {"created": datetime(2026, 11, 29, 7, 10)}
    elif change == "required_at":
        options = {"required_at": 0.5}
    elif change == "predecessor":
        earlier = Predecessor(sop_class="1.2", sop_instance="2.25.5", series="2.25.6")
        options = {"predecessors": {"cad-sr": earlier}}
    else:
        breast = prediction.breasts[0]
        finding = breast.findings[0]
        moved = replace(finding, regions=finding.regions[:1])
        breasts = (replace(breast, findings=(moved,)), prediction.breasts[1])
        prediction = replace(prediction, breasts=breasts)
    before, after = identifiers(small_exam), identifiers(small_exam, prediction, **options)
    assert set(before) == set(after)
    assert not set(before.values()) & set(after.values())


def test_what_objects_do_not_say_does_not_change_them(small_exam):
    """Earlier results among the inputs, and other kinds that are asked for."""
    results = (LeftOut(path="x/cad-sr.dcm", reason=Reason.CAD, detail="d", image_id="2.25.1"),)
    prediction = replace(prediction_of(small_exam), left_out=results)
    assert identifiers(small_exam, prediction) == identifiers(small_exam)
    one = objects_of(small_exam, kinds=("gsps",))
    assert {n: o.data for n, o in one.items()} == {
        n: o.data for n, o in objects_of(small_exam).items() if n in one
    }


def test_an_image_that_came_later_makes_another_report(tmp_path):
    """It was not read, and the report says so: another content is another instance."""
    folder = tmp_path / "in"
    paths = write_exam(folder, (*NAMES, "R-XCCL"))
    late = tmp_path / "late"
    paths["R-XCCL"].rename(late)
    four = exam_in(folder)
    before = identifiers(four)
    late.rename(paths["R-XCCL"])
    five = exam_in(folder)
    assert len(five.images) == 5
    prediction = prediction_of(four)
    after = identifiers(five, prediction)
    assert before["cad-sr"] != after["cad-sr"]


def test_series_are_one_for_a_kind_and_two_for_states(small_exam):
    made = {n: parsed(o) for n, o in objects_of(small_exam).items()}
    by_series = {}
    for name, dataset in made.items():
        by_series.setdefault(dataset.SeriesInstanceUID, set()).add(name)
    assert set(map(frozenset, by_series.values())) == {
        frozenset({"cad-sr"}),
        frozenset({"sc"}),
        frozenset({"sr1500"}),
        frozenset({"gsps-R-CC", "gsps-R-MLO"}),
        frozenset({"gsps-L-CC", "gsps-L-MLO"}),
        frozenset(f"seg-{n}" for n in NAMES),
    }
    assert {n: int(d.SeriesNumber) for n, d in made.items() if "-" not in n} == {
        "sc": 9006,
        "sr1500": 9005,
    }
    assert [int(made[f"gsps-{n}"].InstanceNumber) for n in NAMES] == [1, 2, 3, 4]
    assert {d.StudyInstanceUID for d in made.values()} == {small_exam.exam_id}
    assert {made[f"gsps-{n}"].Laterality for n in ("R-CC", "R-MLO")} == {"R"}


def test_every_object_says_that_it_is_research(small_exam):
    for name, each in objects_of(small_exam).items():
        assert each.data.count(RESEARCH.encode()) >= 1, name
        dataset = parsed(each)
        assert dataset.SeriesDescription.endswith("(research use only)")
        assert len(dataset.SeriesDescription) <= 64
        assert dataset.get("VerificationFlag", "UNVERIFIED") == "UNVERIFIED"
        assert dataset.get("PreliminaryFlag", "PRELIMINARY") == "PRELIMINARY"
        assert dataset.Manufacturer == "Fourview"


def test_group_2_is_made_of_constants(small_exam):
    for each in objects_of(small_exam, kinds=("cad-sr", "seg")).values():
        meta = parsed(each).file_meta
        assert meta.ImplementationVersionName == "FOURVIEW"
        assert meta.MediaStorageSOPInstanceUID == each.sop_instance
        assert {e.keyword for e in meta} == {
            *("FileMetaInformationGroupLength", "FileMetaInformationVersion"),
            *("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID"),
            *("ImplementationClassUID", "ImplementationVersionName"),
        }


GROUPS = (0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0028, 0x0032, 0x0038, 0x0040)


def marker(tag, vr):
    """A value that is found again in bytes; of a form that its VR allows."""
    number = (tag.group * 65536 + tag.element) % 1_000_000
    return {
        "DA": "20190807",
        "TM": "0908070605",
        "AS": "061Y",
        "CS": f"MARK{number:06d}",
        "UI": f"1.2.826.0.1.3680043.10.999.{number + 1}",
    }.get(vr, f"Mark{number:06d}")


def test_nothing_but_the_list_is_copied(tmp_path):
    """Every element of patient, study, series and equipment that the dictionary has is filled."""
    own = {
        *("SOPClassUID", "SOPInstanceUID", "SpecificCharacterSet", "Modality", "ImageType"),
        *("StudyInstanceUID", "SeriesInstanceUID", "PatientID", "TimezoneOffsetFromUTC"),
        *("PresentationIntentType", "ContentDate", "ContentTime", "Laterality", "PatientAge"),
        *("PatientOrientation", "ImageLaterality", "FrameLaterality"),
        *("PatientIdentityRemoved", "LongitudinalTemporalInformationModified"),
    }
    filled = {}

    def fill(dataset):
        for number, (vr, _, _, _, keyword) in DicomDictionary.items():
            tag = Tag(number)
            if tag.group not in GROUPS or not keyword or keyword in own or tag in dataset:
                continue
            if vr in ("LO", "SH", "PN", "ST", "LT", "UT", "UC", "CS", "UI", "AE"):
                value = marker(tag, vr)
                dataset.add_new(tag, vr, value)
                filled[value] = keyword
        for keyword in ("PatientName", "StudyID", "Manufacturer", "RescaleType"):
            tag = Tag(keyword)
            value = marker(tag, dictionary_VR(tag))
            setattr(dataset, keyword, value)
            filled[value] = keyword
        del dataset.VOILUTFunction
        dataset.private_block(0x0009, "SECRET", create=True).add_new(1, "LO", "MarkPrivate")

    write_exam(tmp_path, ("R-CC",), edit=fill)
    assert len(filled) > 400
    exam = exam_in(tmp_path)
    for name, each in objects_of(exam).items():
        assert b"MarkPrivate" not in each.data
        copied = {keyword for value, keyword in filled.items() if value.encode() in each.data}
        may = SECTION_3 | ({"RescaleType"} if name.startswith("gsps") else set())
        assert copied <= may, name
        assert {"PatientName", "IssuerOfPatientID", "AccessionNumber", "StudyID"} <= copied
    top = {e.keyword for e in parsed(objects_of(exam, kinds=("cad-sr",))["cad-sr"])}
    assert not {"InstitutionName", "OperatorsName", "StationName"} & top


def raw(path_or_bytes, keyword):
    dataset = pydicom.dcmread(path_or_bytes, stop_before_pixels=True)
    return bytes(dataset.get_item(Tag(keyword)).value)


NAMES_OF_THE_WORLD = [
    ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("ISO 2022 IR 13\\ISO 2022 IR 87", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
    ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
    ("GB18030", "Wang^XiaoDong=王^小东"),
    ("ISO_IR 144", "Люксембург^Роза"),
    ("ISO_IR 100", "Buc^Jérôme"),
]


@pytest.mark.parametrize(("character_set", "name"), NAMES_OF_THE_WORLD)
def test_names_are_kept_byte_for_byte(character_set, name, tmp_path):
    def edit(dataset):
        dataset.SpecificCharacterSet = character_set.split("\\")
        dataset.PatientName = name
        dataset.ReferringPhysicianName = name

    paths = write_exam(tmp_path, edit=edit)
    exam = exam_in(tmp_path)
    want = raw(paths["R-CC"], "PatientName")
    assert len(want.rstrip()) > 8
    for each in objects_of(exam, kinds=("cad-sr", "gsps")).values():
        assert want in each.data
        dataset = parsed(each)
        assert bytes(dataset.get_item(Tag("PatientName")).value) == want
        assert str(dataset.PatientName) == name
        assert str(dataset.ReferringPhysicianName) == name


def test_text_that_its_character_set_cannot_decode_is_passed_on(tmp_path):
    """A name in Latin 1 under a header that says UTF-8."""
    broken = "Müller^Jörg".encode("latin_1")

    def edit(dataset):
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.PatientName = "M_ller^J_rg"

    for path in write_exam(tmp_path, edit=edit).values():
        path.write_bytes(path.read_bytes().replace(b"M_ller^J_rg", broken))
    for each in objects_of(exam_in(tmp_path)).values():
        assert broken in each.data
        assert b"M?ller" not in each.data


def test_codes_of_de_identification_are_passed_on_without_the_rest(tmp_path):
    def edit(dataset):
        dataset.SpecificCharacterSet = "ISO_IR 192"
        item = pydicom.Dataset()
        item.CodeValue, item.CodingSchemeDesignator = "113100", "DCM"
        item.CodeMeaning = "基本的な機密保持"
        item.MappingResource = "SECRET"
        dataset.DeidentificationMethodCodeSequence = [item]
        dataset.PatientIdentityRemoved = "YES"

    write_exam(tmp_path, edit=edit)
    for each in objects_of(exam_in(tmp_path)).values():
        (item,) = parsed(each).DeidentificationMethodCodeSequence
        assert (item.CodeValue, item.CodeMeaning) == ("113100", "基本的な機密保持")
        assert b"SECRET" not in each.data
        assert parsed(each).PatientIdentityRemoved == "YES"


def test_an_object_takes_the_names_of_big_endian_and_implicit_files(tmp_path):
    for number, syntax in enumerate((BIG, IMPLICIT), start=1):
        dataset = mammogram(number, view=("CC", "MLO")[number - 1], PatientName="Doe^Jo")
        stored = gradient((40, 34), TWELVE)
        write_mammogram(tmp_path / f"{number}.dcm", dataset, stored=stored, syntax=syntax)
    for each in objects_of(exam_in(tmp_path), kinds=("cad-sr", "gsps", "sr1500")).values():
        assert str(parsed(each).PatientName) == "Doe^Jo"


def test_findings_named_after_the_patient_lose_that_name(small_exam):
    prediction = prediction_of(small_exam)
    findings = [
        replace(f, finding_id=f"{small_exam.patient_id}-{n}")
        for n, b in enumerate(prediction.breasts)
        for f in b.findings
    ]
    made = objects_of(small_exam, prediction_of(small_exam, findings), kinds=("cad-sr", "sr1500"))
    for each in made.values():
        assert f"{small_exam.patient_id}-0".encode() not in each.data
        assert b"finding 1" in each.data


def test_times_are_those_of_the_prediction_in_the_zone_of_the_study(tmp_path):
    def edit(dataset):
        dataset.TimezoneOffsetFromUTC = "-0330"

    write_exam(tmp_path, edit=edit)
    made = objects_of(exam_in(tmp_path), created=CREATED.replace(tzinfo=UTC))
    for name, each in made.items():
        dataset = parsed(each)
        assert dataset.TimezoneOffsetFromUTC == "-0330"
        assert (dataset.InstanceCreationDate, dataset.InstanceCreationTime) == (
            "20261129",
            "033900",
        )
        key = "PresentationCreation" if name.startswith("gsps") else "Content"
        assert dataset[f"{key}Time"].value == "033900"


@pytest.mark.parametrize("offset", [None, "", "0900", "+25xx", "+9900"])
def test_a_zone_that_is_none_leaves_the_time_as_it_is(offset):
    created = CREATED.replace(tzinfo=UTC)
    assert local_time(created, offset) == created


def test_text_of_ours_is_plain_and_short():
    assert plain("modèle\\ä", 5) == "mod?l"
    assert plain("a\\b") == "a/b"
    for value in (
        100 / 3,
        -1e-300,
        1e300,
        0.1,
        123456789012345678.0,
        struct.unpack("f", b"abcd")[0],
    ):
        assert len(decimal(value)) <= 16
        assert float(decimal(value)) == pytest.approx(value, rel=1e-8)


def test_several_models_are_one_algorithm(small_exam):
    prediction = replace(
        prediction_of(small_exam),
        model="gmic:small + mvccl:small",
        model_digest=f"{'ab' * 32} + {'cd' * 32}",
    )
    dataset = parsed(objects_of(small_exam, prediction, kinds=("cad-sr",))["cad-sr"])
    assert len(dataset.DeviceSerialNumber) == 16
    assert (
        b"fourview gmic:small + mvccl:small"
        in objects_of(small_exam, prediction, kinds=("sr1500",))["sr1500"].data
    )
