# SPDX-License-Identifier: Apache-2.0
"""What the binding refuses before C sees it; environment as in test_ftlib.py."""
import array
import ctypes
import itertools
import unittest

import ftlib
from ftlib import _abi, _buffer, _library, primitives
from tiny import HELLO, RECORDS, TINY, WORK, tiny_model, tiny_trainer


class Arguments(unittest.TestCase):
    """What ctypes would take for an address, or cut."""

    def setUp(self):
        self.model, trainer = tiny_model(), tiny_trainer()
        self.data = ftlib.Dataset.open(self.model.tokenizer, RECORDS)
        self.trainer, self.adapter = trainer, trainer.adapter()

    def train(self, **lora):
        ftlib.Trainer(self.model, self.data, lora=ftlib.LoraConfig(**lora))

    def texts(self):
        """The name of each text that goes to C as a pointer, and a call that hands it over."""
        model, data, tokenizer = self.model, self.data, self.model.tokenizer
        evaluation = model.evaluate(data)
        for name in ("id", "group"):
            yield name, lambda bad: data.append_text("x", **{name: bad})
        for name in ("chat_template", "date"):
            yield name, lambda bad: ftlib.Tokenizer.open(TINY, **{name: bad})
            yield name, lambda bad: tiny_model(**{name: bad})
        for key in ("role", "content"):
            for call in (data.append_messages, tokenizer.render, tokenizer.encode_messages, tokenizer.supervision,
                         lambda messages: model.generate([messages])):
                yield f"messages[1].{key}", lambda bad: call([HELLO[0], HELLO[1] | {key: bad}])
        yield "text", data.append_text
        yield "prompt", lambda bad: data.append_completion(bad, "x")
        yield "completion", lambda bad: data.append_completion("x", bad)
        yield "metrics", lambda bad: model.evaluate(data, metrics=["exact", bad])
        yield "metric", lambda bad: evaluation.compare(evaluation, bad)
        yield "format", lambda bad: model.merge(self.adapter, WORK / "never", format=bad)
        yield "target_modules[1]", lambda bad: self.train(target_modules=["q_proj", bad])
        yield "a key of rank_pattern", lambda bad: self.train(rank_pattern={bad: 1})
        yield "a key of alpha_pattern", lambda bad: self.train(alpha_pattern={bad: 1})
        yield "name", ftlib.force_backend
        yield "op", ftlib.backend_used

    def paths(self):
        yield "path", ftlib.Model.open
        yield "model", ftlib.Tokenizer.open
        yield "path", lambda bad: ftlib.Dataset.open(self.model.tokenizer, bad)
        yield "path", self.model.adapter
        yield "folder", self.adapter.save_pretrained
        yield "path", self.adapter.save_gguf
        yield "folder", self.trainer.save
        yield "folder", self.trainer.resume
        yield "out", lambda bad: self.model.merge(self.adapter, bad)

    def refused(self, error, says, call, *arguments):
        with self.subTest(says), self.assertRaises(error) as caught:
            call(*arguments)
        self.assertIn(says, str(caught.exception))

    def test_a_text_is_a_str_and_a_path_is_a_path(self):
        class Sly(str):
            def encode(self, *_):
                return 123

        for name, call in self.texts():
            self.refused(TypeError, f"{name}: want str, got int", call, 123)
            self.refused(TypeError, f"{name}: want str, got bytes", call, b"x")
        for name, call in self.paths():
            self.refused(TypeError, f"{name}: want a path (str, bytes or os.PathLike), got int", call, 123)
        self.refused(TypeError, "target_modules: want a list, got int", lambda: self.train(target_modules=123))
        self.refused(TypeError, "text: want str or bytes, got int", self.model.tokenizer.encode, 123)
        self.data.append_text("x", id=Sly("id"))
        self.assertEqual([one.id for one in self.model.evaluate(self.data)][-1], "id")

    def test_text_with_a_nul_is_refused_where_c_takes_it_to_end(self):
        records = len(self.data)
        for name, call in itertools.chain(self.texts(), self.paths()):
            self.refused(ValueError, f"{name}: holds a NUL", call, "a\0b")
        self.refused(ValueError, "target_regex: holds a NUL", lambda: self.train(target_modules="a\0b"))
        self.assertEqual(len(self.data), records)

    def test_text_with_a_nul_goes_through_where_c_takes_a_size(self):
        tokenizer = self.model.tokenizer
        self.assertEqual(tokenizer.decode(tokenizer.encode("a\0b")).replace("\0", ""), "ab")
        self.data.append({"text": "ab\0cd"})
        self.assertIn(tokenizer.encode("cd")[-1], self.data[len(self.data) - 1].tokens)
        text = ctypes.create_string_buffer(b"a\0b")
        answer = _abi.ft_answer(text=ctypes.cast(text, ctypes.c_char_p), text_bytes=3)
        self.assertEqual(_library.sized_text(answer, "text", answer.text_bytes), "a\0b")
        self.assertEqual(_library.sized_text(_abi.ft_answer(), "text", 0), "")

    def test_numbers_that_do_not_fit_are_refused(self):
        codes, values = bytearray(64), array.array("f", bytes(512))
        weight = primitives.Nf4Weight(codes, array.array("f", [0]), 2**33 + 2, 64, 128)
        too_large = "want a signed integer of 32 bits, got 4294967360"
        walk = self.data.batches()
        for says, call in (
                (f"block_size: {too_large}", lambda: tiny_model(base="nf4", block_size=2**32 + 64)),
                (f"block_size: {too_large}",  # 64 to C, which would write two scales where one has room
                 lambda: primitives.nf4_quantize(values, codes, array.array("f", [0]), block_size=2**32 + 64)),
                ("codes: want", lambda: primitives.nf4_dequantize(weight, values)),
                (f"count: {too_large}", lambda: ftlib.set_threads(2**32 + 64)),
                (f"tokens[1]: {too_large}", lambda: self.model.tokenizer.decode([1, 2**32 + 64])),
                (f"labels[0]: {too_large}", lambda: self.data.append_tokens([1], [2**32 + 64])),
                (f"prompts[0][0]: {too_large}", lambda: self.model.generate([[2**32 + 64]])),
                (f"stop_tokens[0]: {too_large}", lambda: self.model.generate(["Hi"], stop_tokens=[2**32 + 64])),
                ("prompt_messages: want an unsigned integer of 32 bits, got -1",
                 lambda: self.data.append_messages(HELLO, prompt_messages=-1)),
                ("seed: want an unsigned integer of 64 bits, got -1", lambda: self.data.batches(seed=-1)),
                ("step: want a signed", lambda: setattr(walk, "position", (0, 2**64, 0))),
                ("epochs: want a signed", lambda: tiny_trainer(epochs=2**64 + 1)),
                ("rank_pattern[0]: want a signed", lambda: self.train(rank_pattern={"q_proj": 2**64 + 1})),
                ("step: want a signed", lambda: primitives.adamw_step(*[values] * 4, 2**64 + 1))):
            self.refused(ValueError, says, call)

    def test_what_is_no_number_is_refused(self):
        values = array.array("f", bytes(512))
        for says, call in (
                ("steps: want an integer, got float", lambda: tiny_trainer(steps=1.0)),
                ("lr: want a number, got str", lambda: tiny_trainer(lr="1e-4")),
                ("truncate: want an integer, got str",
                 lambda: ftlib.Dataset.open(self.model.tokenizer, RECORDS, truncate="no")),
                ("weight: want a number, got str", lambda: self.data.append_text("x", weight="2")),
                ("temperature: want a number, got str", lambda: self.model.generate(["Hi"], temperature="0")),
                ("alpha_pattern: want a number, got str", lambda: self.train(alpha_pattern={"q_proj": "2"})),
                ("max_norm: want a number, got NoneType", lambda: primitives.clip_grad_norm_([values], None)),
                ("eps: want a number, got str", lambda: primitives.adamw_step(*[values] * 4, 1, eps="1"))):
            self.refused(TypeError, says, call)

    def test_what_has_elements_but_is_no_list_of_them_is_refused(self):
        model, tokenizer = self.model, self.model.tokenizer
        for says, call in (
                ("prompts: want a list, got str", lambda: model.generate("Hi")),
                ("prompts[0]: want a list, got bytes", lambda: model.generate([b"Hi"])),
                ("prompts[0]: want a list, got dict", lambda: model.generate(HELLO)),
                ("prompts[0][1]: want an integer, got str", lambda: model.generate([[1, "2"]])),
                ("messages: want a list, got dict", lambda: tokenizer.render(HELLO[0])),
                ("messages[0]: want role and content in a dict, got tuple", lambda: tokenizer.render([("user", "Hi")])),
                ("tokens: want a list, got str", lambda: tokenizer.decode("12")),
                ("metrics: want a list, got str", lambda: model.evaluate(self.data, metrics="exact")),
                ("gradients: want a list, got float", lambda: primitives.clip_grad_norm_(1.0, 1)),
                ("lora: want LoraConfig, got dict", lambda: ftlib.Trainer(model, self.data, lora={"r": 8})),
                ("options: want TrainOptions, got dict", lambda: ftlib.Trainer(model, self.data, options={})),
                ("function: want a function or None, got str", lambda: ftlib.set_log("print"))):
            self.refused(TypeError, says, call)
        for says, call in (
                ("a message has role and content, got 'role'", lambda: tokenizer.render([{"role": "user"}])),
                ("messages[1]: a message has role and content, got 'role', 'content', 'tool_calls'",
                 lambda: self.data.append_messages([HELLO[0], HELLO[1] | {"tool_calls": []}])),
                ("target_modules: want names", lambda: self.train(target_modules=[])),
                ("target_modules: want names", lambda: self.train(target_modules=""))):
            self.refused(ValueError, says, call)

    def test_generators_do_for_lists(self):
        tokenizer, one = self.model.tokenizer, tiny_trainer().adapter()
        self.assertEqual(tokenizer.render(message for message in HELLO), tokenizer.render(HELLO))
        self.assertEqual(tokenizer.decode(iter([1, 2])), tokenizer.decode([1, 2]))
        self.data.append_tokens(iter([1, 2]), iter([-100, 2]))
        self.assertEqual(self.data[len(self.data) - 1].tokens, [1, 2])
        prompts = [HELLO[:1], [1, 2]]
        self.assertEqual(self.model.generate((iter(prompt) for prompt in prompts), max_tokens=2, stop_tokens=iter([5])),
                         self.model.generate(prompts, max_tokens=2, stop_tokens=[5]))
        evaluation = self.model.evaluate(self.data, one, metrics=iter(["exact"]), max_tokens=1)
        self.assertEqual(set(evaluation.metrics), {"exact"})
        self.assertEqual(primitives.clip_grad_norm_(iter([array.array("f", [3]), array.array("f", [4])]), 0), 5)
        self.train(target_modules=(name for name in ["q_proj"]))

    def test_an_object_of_another_class_is_refused(self):
        evaluation, trainer_of = self.model.evaluate(self.data), ftlib.Trainer
        for wrong in (0, "model", self.trainer):
            got = f"got {type(wrong).__name__}"
            for says, call in (
                    ("model: want Model", lambda: trainer_of(wrong, self.data)),
                    ("train: want Dataset", lambda: trainer_of(self.model, wrong)),
                    ("valid: want Dataset", lambda: trainer_of(self.model, self.data, wrong)),
                    ("init_adapter: want Adapter", lambda: trainer_of(self.model, self.data, init_adapter=wrong)),
                    ("tokenizer: want Tokenizer", lambda: ftlib.Dataset.open(wrong)),
                    ("dataset: want Dataset", lambda: self.model.evaluate(wrong)),
                    ("adapter: want Adapter", lambda: self.model.evaluate(self.data, wrong)),
                    ("adapter: want Adapter", lambda: self.model.generate(["Hi"], wrong)),
                    ("adapter: want Adapter", lambda: self.model.merge(wrong, WORK / "never")),
                    ("after: want Evaluation", lambda: evaluation.compare(wrong))):
                self.refused(TypeError, f"{says}, {got}", call)


class OnlyDlpack:
    """A producer of DLPack: of version 1 where it has flags, else an older one."""

    new_capsule = ctypes.PyDLL(None).PyCapsule_New
    new_capsule.restype, new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

    def __init__(self, values, shape, strides=None, *, flags=None, major=1, device_type=1, code=2, bits=32, lanes=1,
                 byte_offset=0):
        self.shape, self.values, self.versioned = (ctypes.c_int64 * len(shape))(*shape), values, flags is not None
        self.strides = (ctypes.c_int64 * len(strides))(*strides) if strides is not None else None
        tensor = _buffer._DLTensor(values.buffer_info()[0], device_type, 0, len(shape), code, bits, lanes, self.shape,
                                   self.strides, byte_offset)
        self.managed = _buffer._DLVersioned(major, 0, None, None, flags, tensor) if self.versioned else tensor

    def __dlpack__(self, **version):
        if version and not self.versioned:
            raise TypeError("an older producer knows no versions")
        name = b"dltensor_versioned" if version else b"dltensor"
        before = _buffer._DLVersioned.tensor.offset if self.versioned and not version else 0
        return self.new_capsule(ctypes.addressof(self.managed) + before, name, None)


class Dlpack(unittest.TestCase):
    def setUp(self):
        self.values, self.absmax = array.array("f", range(68)), array.array("f", [0, 0])

    def quantize(self, values, absmax=None):
        """The largest of 64 values, written where `absmax` says."""
        primitives.nf4_quantize(values, bytearray(32), memoryview(self.absmax)[:1] if absmax is None else absmax)
        return self.absmax[0]

    def test_producers_of_both_versions_are_read_and_written_where_they_lie(self):
        for flags in (None, 0):
            self.assertEqual(self.quantize(OnlyDlpack(self.values, [64], flags=flags)), 63)
            self.assertEqual(self.quantize(OnlyDlpack(self.values, [8, 8], [8, 1], flags=flags, byte_offset=16)), 67)
            self.assertEqual(self.quantize(OnlyDlpack(self.values, [1, 64], [7, 1], flags=flags)), 63)
            self.quantize(self.values[:64], OnlyDlpack(self.absmax, [1], byte_offset=4, flags=flags))
            self.assertEqual(self.absmax[1], 63)
        self.assertEqual(self.quantize(OnlyDlpack(self.values, [64], flags=1)), 63)  # read-only, and is only read

    def test_what_does_not_lie_as_c_reads_it_is_refused(self):
        for error, says, options in (
                (ValueError, "multiples of 4 bytes", {"byte_offset": 2}),
                (ValueError, "contiguous", {"strides": [2]}),
                (ValueError, "contiguous", {"strides": [0]}),
                (ValueError, "contiguous", {"strides": [-1]}),
                (TypeError, "another device", {"device_type": 2}),
                (TypeError, "got f64", {"bits": 64}),
                (TypeError, "got type 2 of 4 times 32 bits", {"lanes": 4}),
                (TypeError, "got type 6 of 1 times 8 bits", {"code": 6, "bits": 8}),
                (TypeError, "version 2 of DLPack", {"flags": 0, "major": 2})):
            with self.subTest(says), self.assertRaisesRegex(error, f"values: .*{says}"):
                self.quantize(OnlyDlpack(self.values, [64 if "strides" not in options else 32], **options))
        self.assertEqual(self.absmax[0], 0)

    def test_what_is_read_only_or_a_copy_is_not_written(self):
        for flags in (1, 2):
            with self.assertRaisesRegex(ValueError, "absmax: the memory is read-only, or a copy"):
                self.quantize(self.values[:64], OnlyDlpack(self.absmax, [1], flags=flags))
        self.assertEqual(self.absmax[0], 0)


if __name__ == "__main__":
    unittest.main()
