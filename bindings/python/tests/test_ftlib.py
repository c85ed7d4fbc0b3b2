# SPDX-License-Identifier: Apache-2.0
"""The binding, with nothing but Python: installed, or found by PYTHONPATH and FTLIB_LIBRARY (the shared library).
FTLIB_TINY, FTLIB_RECORDS, FTLIB_PROGRAM and FTLIB_WORK name the tiny model, records, the program and a folder for output."""
import array
import ast
import ctypes
import gc
import math
import os
import pathlib
import pickle
import re
import signal
import subprocess
import sys
import threading
import unittest
import weakref
from unittest import mock

import ftlib
from ftlib import _abi, _library, errors, primitives
from tiny import HELLO, RECORDS, TINY, WORK, tiny_model, tiny_trainer

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent


def functions_of_c(tree):
    """The names after `lib.`, those that a handle is freed with, and the _init of options that begin with defaults."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ast.Name("lib" | "library"), name) if name.startswith("ft_"):
                yield name
            case ast.Assign([ast.Name("_free_name")], ast.Constant(name)):
                yield name
            case ast.Call(ast.Name("defaults"), [ast.Attribute(ast.Name("_abi"), options)]):
                yield options + "_init"


class Abi(unittest.TestCase):
    def facts(self, kind):
        golden = ROOT / f"capi/abi/ftlib_c-{_abi.FT_ABI_VERSION}.layout"
        return [line.split(" ")[1:] for line in golden.read_text().splitlines() if line.startswith(kind + " ")]

    def test_structs_lie_as_the_golden_layout_says(self):
        for name, size, alignment in self.facts("struct"):
            kind = getattr(_abi, name)
            self.assertEqual((ctypes.sizeof(kind), ctypes.alignment(kind)), (int(size), int(alignment)), name)
        for struct, name, offset, size, *_ in self.facts("field"):
            place = getattr(getattr(_abi, struct), name)
            self.assertEqual((place.offset, place.size), (int(offset), int(size)), f"{struct}.{name}")

    def test_numbers_and_functions_are_those_of_the_golden_layout(self):
        numbers = [fact[-2:] for fact in self.facts("enum") + self.facts("constant") if "FORCE32" not in fact[-2]]
        self.assertGreater(len(numbers), 50)
        for name, value in numbers:
            self.assertEqual(getattr(_abi, name), int(value), name)
        for name, *_ in self.facts("function"):
            self.assertTrue(hasattr(ftlib._library.lib, name), name)

    def test_the_package_calls_every_function(self):
        called = set()
        for source in pathlib.Path(ftlib.__file__).parent.glob("*.py"):
            if source.name != "_abi.py":
                called |= set(functions_of_c(ast.parse(source.read_text())))
        self.assertEqual(called, {name for name, *_ in self.facts("function")})

    def test_every_status_has_an_exception(self):
        statuses = {name for _, name, _ in self.facts("enum") if name.startswith("FT_ERROR_")}
        self.assertEqual(statuses, set(errors.BY_STATUS))


class Errors(unittest.TestCase):
    def test_a_missing_file_is_what_python_calls_it(self):
        with self.assertRaises(FileNotFoundError) as caught:
            ftlib.Model.open("/nowhere/%n%s.gguf")
        self.assertIsInstance(caught.exception, ftlib.FtlibError)
        self.assertIn("/nowhere/%n%s.gguf", str(caught.exception))
        self.assertEqual(caught.exception.status, "FT_ERROR_NOT_FOUND")

    def test_a_damaged_file_has_a_reason(self):
        with self.assertRaises(errors.InvalidFile) as caught:
            ftlib.Model.from_memory(b"GGUF")
        self.assertEqual(caught.exception.reason, "TRUNC")

    def test_handles_close_once_and_are_not_pickled(self):
        model = tiny_model()
        for thing in (model, model.tokenizer, tiny_trainer(), tiny_trainer().adapter()):
            with self.assertRaisesRegex(TypeError, "cannot be pickled"):
                pickle.dumps(thing)
        model.close()
        model.close()
        with self.assertRaisesRegex(errors.InvalidArgument, "this Model is closed"):
            model.info
        with tiny_model() as again:
            self.assertEqual(again.info.vocab_size, 97)
        with self.assertRaises(ValueError):
            again.tokenizer

    def test_another_thread_has_an_error_of_its_own(self):
        seen = []

        def fail(path):
            for _ in range(50):
                try:
                    ftlib.Tokenizer.open(path)
                except ftlib.FtlibError as error:
                    seen.append(path in str(error))

        threads = [threading.Thread(target=fail, args=(f"/nowhere/{i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(seen, [True] * 200)

    def test_an_object_that_is_freed_before_the_check_leaves_the_error(self):
        for path in ("/nowhere/first", "/nowhere/second"):
            handle, model = ctypes.c_void_p(), tiny_model()
            status = _library.lib.ft_tokenizer_open(path.encode(), None, ctypes.byref(handle))
            del model
            with self.assertRaisesRegex(FileNotFoundError, path):
                _library.check(status)

    def test_an_object_that_is_closed_meanwhile_lives_as_long_as_its_memory_is_read(self):
        model, trainer = tiny_model(), tiny_trainer()
        data = ftlib.Dataset.open(model.tokenizer, RECORDS)
        for name, handle, read in (
                ("ft_tokenizer_get_info", model.tokenizer, lambda tokenizer: tokenizer.info),
                ("ft_model_get_info", tiny_model(), lambda other: other.info),
                ("ft_batches_next", data.batches(), next),
                ("ft_adapter_get_info", trainer.adapter(), lambda adapter: adapter.info),
                ("ft_adapter_tensor", trainer.adapter(), lambda adapter: next(adapter.tensors())),
                ("ft_evaluation_metric", model.evaluate(data, metrics=["exact"], max_tokens=1), lambda e: e.metrics),
                ("ft_evaluation_example", model.evaluate(data), lambda evaluation: next(iter(evaluation)))):
            with self.subTest(name), mock.patch.object(_library.lib, name, self.then_closed(name, handle)):
                read(handle)

    def then_closed(self, name, handle):
        """The function of C, after which another thread closes the handle before its caller goes on."""
        function, alive = getattr(_library.lib, name), weakref.ref(handle._owner)

        def call(*arguments):
            status = function(*arguments)
            handle.close()
            self.assertIsNotNone(alive(), name)
            return status

        return call

    def test_warnings_go_to_the_log(self):
        heard = []
        ftlib.set_log(heard.append)
        ftlib.Dataset.open(tiny_model().tokenizer, RECORDS, max_length=64)
        ftlib.set_log(None)
        ftlib.Dataset.open(tiny_model().tokenizer, RECORDS, max_length=64)
        self.assertEqual(len(heard), 1)
        self.assertIn("left out", heard[0])


class Host(unittest.TestCase):
    def import_error(self, library):
        """What `import ftlib` says with this library; those that a wheel brings along lie beside the package."""
        beside = pathlib.Path(ftlib.__file__).parent.with_name("ftlib.libs")
        env = os.environ | {"FTLIB_LIBRARY": str(library), "LD_LIBRARY_PATH": str(beside)}
        done = subprocess.run([sys.executable, "-P", "-c", "import ftlib"], env=env, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        return done.stderr.splitlines()[-1]

    def test_an_older_host_is_told_which_glibc_is_needed(self):
        library = pathlib.Path(ftlib._library.lib._name).read_bytes()
        newest = max(re.findall(rb"GLIBC_2\.(\d+)\0", library), key=int)
        newer = WORK / "needs-a-newer-glibc.so"
        newer.write_bytes(library.replace(b"GLIBC_2." + newest + b"\0", b"GLIBC_9." + newest + b"\0"))
        self.assertIn(f"this ftlib needs glibc 9.{newest.decode()} or newer, this host has glibc 2.",
                      self.import_error(newer))

    def test_a_library_that_is_missing_is_named(self):
        self.assertIn("ftlib needs /nowhere/x.so, which this host lacks", self.import_error("/nowhere/x.so"))
        self.assertIn("ftlib needs libftlib_c.so.0, which this host lacks or cannot load", self.import_error(RECORDS))


class Process(unittest.TestCase):
    def test_backends_and_threads(self):
        self.assertTrue(ftlib.backends()["ref"])
        ftlib.force_backend("ref")
        codes, absmax = bytearray(16), array.array("f", [0])
        primitives.nf4_quantize(array.array("f", range(32)), codes, absmax, block_size=32)
        self.assertEqual(ftlib.backend_used("nf4_quantize"), "ref")
        ftlib.force_backend(None)
        with self.assertRaises(errors.Unsupported):
            ftlib.force_backend("tpu")
        before = ftlib.get_threads()
        ftlib.set_threads(3)
        self.assertEqual(ftlib.get_threads(), 3)
        ftlib.set_threads(before)
        ftlib.shutdown()
        self.assertEqual(ftlib.version(), ftlib.__version__)


class Text(unittest.TestCase):
    def test_text_goes_to_tokens_and_back(self):
        tokenizer = ftlib.Tokenizer.open(TINY)
        info = tokenizer.info
        self.assertEqual((info.vocab_size, info.bos_id, info.eos_id, info.pad_id), (97, 94, 96, None))
        text = "abc <|im_end|> def"
        self.assertEqual(tokenizer.decode(tokenizer.encode("abc def!")), "abc def!")
        self.assertIn(96, tokenizer.encode(text, special=True))
        self.assertNotIn(96, tokenizer.encode(text))
        self.assertEqual(tokenizer.decode(tokenizer.encode(text, special=True), skip_special=True), "abc  def")
        self.assertEqual(tokenizer.encode(""), [])

    def test_conversations(self):
        tokenizer = ftlib.Tokenizer.open(TINY)
        self.assertEqual(tokenizer.render(HELLO), "<|im_start|>user Hi<|im_end|><|im_start|>assistant Hello!<|im_end|>")
        self.assertTrue(tokenizer.render(HELLO[:1], add_generation_prompt=True).endswith("assistant "))
        taught = tokenizer.supervision(HELLO)
        self.assertEqual(tokenizer.decode([token for token, flag in taught if flag]), "Hello!<|im_end|>")
        self.assertEqual([token for token, _ in taught], tokenizer.encode_messages(HELLO))
        other = ftlib.Tokenizer.open(TINY, chat_template="{{ strftime_now('%Y') }}", date="2026-01-02")
        self.assertEqual(other.render(HELLO), "2026")


class Data(unittest.TestCase):
    def test_records_come_from_a_file_and_from_calls(self):
        tokenizer = ftlib.Tokenizer.open(TINY)
        data = ftlib.Dataset.open(tokenizer)
        data.append({"messages": HELLO})
        data.append_messages(HELLO, id="second", weight=2.0)
        data.append_completion("Hi", "Hello!")
        data.append_text("Hello!")
        data.append_tokens([1, 2, 3], [-100, -100, 3])
        self.assertEqual(len(data), 5)
        self.assertEqual(data[0], data[1])
        self.assertEqual(data[4].labels, [-100, -100, 3])
        self.assertEqual(data.info.records, 5)
        with self.assertRaises(IndexError):
            data[5]
        with self.assertRaises(errors.InvalidFile):
            data.append({"messages": HELLO[:1]})
        with self.assertRaisesRegex(TypeError, "unknown option 'wieght'"):
            data.append_text("x", wieght=1)
        self.assertEqual(len(ftlib.Dataset.open(tokenizer, RECORDS)), 4)

    def test_batches_go_on_from_a_position(self):
        data = ftlib.Dataset.open(ftlib.Tokenizer.open(TINY), RECORDS)
        options = {"batch_examples": 1, "accumulate": 2, "epochs": 3, "seed": 5}
        walk, positions, tokens = data.batches(**options), [], []
        for _ in range(12):
            positions.append(walk.position)
            tokens.append(next(walk).tokens.tolist())
        self.assertEqual(list(walk), [])
        again = data.batches(**options)
        for start in range(12):
            again.position = positions[start]
            self.assertEqual([batch.tokens.tolist() for batch in again], tokens[start:])
        with self.assertRaises(errors.Mismatch):
            again.position = (3, 0, 1)

    def test_threads_that_share_batches_wait_for_each_others_copies(self):
        data = ftlib.Dataset.open(ftlib.Tokenizer.open(TINY), RECORDS)
        options = {"batch_examples": 1, "order": "given"}
        shared, theirs, real = data.batches(**options), [], _library.lib.ft_batches_next
        other = threading.Thread(target=lambda: theirs.extend(shared))

        def with_another_thread_behind_it(*arguments):
            status = real(*arguments)
            if not other.ident:
                other.start()
                other.join(0.2)  # with nobody to wait for it would have taken all the rest by then
            return status

        with mock.patch.object(_library.lib, "ft_batches_next", with_another_thread_behind_it):
            ours = next(shared)
            other.join()
        self.assertEqual([batch.tokens.tolist() for batch in [ours, *theirs]],
                         [batch.tokens.tolist() for batch in data.batches(**options)])

    def test_closing_ends_an_iteration(self):
        model, adapter = tiny_model(), tiny_trainer().adapter()
        data = ftlib.Dataset.open(model.tokenizer, RECORDS)
        evaluation, walk = model.evaluate(data), data.batches(batch_examples=1)
        for handle, iterator in ((data, iter(data)), (evaluation, iter(evaluation)), (walk, iter(walk)),
                                 (adapter, adapter.tensors())):
            next(iterator)
            handle.close()
            with self.subTest(type(handle).__name__), self.assertRaises(errors.InvalidArgument):
                next(iterator)


class Models(unittest.TestCase):
    def test_info_and_formats(self):
        for base in ("native", "f32", "bf16", "nf4"):
            self.assertEqual(tiny_model(base=base).info.base, base)
        with self.assertRaisesRegex(ValueError, "base: want native or f32"):
            tiny_model(base="int3")
        data = pathlib.Path(TINY).read_bytes()
        self.assertEqual(ftlib.Model.from_memory(data).info.digest, tiny_model().info.digest)
        self.assertEqual(ftlib.Model.from_memory(memoryview(data)).info.digest, tiny_model().info.digest)

    def test_a_closed_adapter_is_not_taken_for_none(self):
        model, adapter = tiny_model(), tiny_trainer().adapter()
        adapter.close()
        with self.assertRaisesRegex(errors.InvalidArgument, "ft_adapter"):
            model.generate(["Hi"], adapter, max_tokens=1)

    def test_generation_streams_what_it_returns(self):
        model, pieces = tiny_model(), []
        answers = model.generate(["Hi", HELLO[:1], [1, 2, 3]], max_tokens=8,
                                 on_token=lambda prompt, token, text: pieces.append((prompt, text)))
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(b"".join(text for prompt, text in pieces if prompt == 2).decode(), answers[2].text)
        with self.assertRaises(errors.Cancelled):
            model.generate(["Hi"], max_tokens=8, on_token=lambda *_: False)
        with self.assertRaisesRegex(ZeroDivisionError, "division"):
            model.generate(["Hi"], max_tokens=8, on_token=lambda *_: 1 / 0)

    def test_evaluation_and_comparison(self):
        model = tiny_model()
        data = ftlib.Dataset.open(model.tokenizer, RECORDS)
        trainer = tiny_trainer(8)
        trainer.run()
        progress = []
        base = model.evaluate(data, metrics=["exact", "rouge-l"], max_tokens=4,
                              on_progress=lambda done, total: progress.append((done, total)))
        tuned = model.evaluate(data, trainer.adapter())
        self.assertEqual((len(base), set(base.metrics)), (4, {"exact", "rouge-l"}))
        self.assertAlmostEqual(base.perplexity, math.exp(base.loss))
        self.assertEqual([one.id for one in base], ["1", "2", "3", "4"])
        self.assertTrue(all(set(one.scores) == {"exact", "rouge-l"} for one in base))
        self.assertTrue(all(one.output is None for one in tuned))
        self.assertTrue(base.compare(tuned).high < 0 and base.compare(tuned).excludes_zero)
        self.assertEqual(progress[-1], (4, 4))
        with self.assertRaises(errors.Cancelled):
            model.evaluate(data, on_progress=lambda done, total: False)


class Training(unittest.TestCase):
    def test_runs_step_by_step_or_at_once(self):
        seen, one, other = [], tiny_trainer(4), tiny_trainer(4)
        last = one.run(seen.append, bar=False)
        self.assertEqual([now.step for now in seen], [1, 2, 3, 4])
        self.assertTrue(last.finished and last.train_loss > 0 and last.valid_loss is None)
        while not other.progress.finished:
            other.step()
        self.assertEqual(one.adapter().info.digest, other.adapter().info.digest)
        with self.assertRaises(errors.InvalidArgument):
            one.step()
        self.assertGreater(one.plan.peak_bytes, one.plan.trainer_bytes)

    def test_false_stops_saves_and_resumes_to_the_same_bits(self):
        straight, first, second = tiny_trainer(6), tiny_trainer(6), tiny_trainer(6)
        straight.run()
        folder = WORK / "python-state"
        stopped = first.run(lambda now: now.step < 3, save_to=folder)
        self.assertEqual((stopped.step, stopped.finished), (3, False))
        second.resume(folder)
        self.assertEqual(second.progress.step, 3)
        second.run()
        self.assertEqual(second.adapter().info.digest, straight.adapter().info.digest)
        with self.assertRaisesRegex(errors.Mismatch, "steps: 6 then, 7 now"):
            tiny_trainer(7).resume(folder)

    def test_ctrl_c_saves_and_returns(self):
        trainer, folder = tiny_trainer(1000000), WORK / "python-ctrl-c"
        now = trainer.run(lambda _: os.kill(os.getpid(), signal.SIGINT), save_to=folder)
        self.assertFalse(now.finished)
        self.assertTrue(list(folder.glob("step-*")))

    def test_what_on_step_raises_comes_out(self):
        with self.assertRaises(ZeroDivisionError):
            tiny_trainer(4).run(lambda now: 1 / 0)

    def test_cancelled_is_raised_where_on_step_raised_it(self):
        def nested(now):
            raise errors.Cancelled("a call of its own")

        with self.assertRaisesRegex(errors.Cancelled, "a call of its own"):
            tiny_trainer(4).run(nested)

    def test_ctrl_c_after_the_last_callback_comes_when_the_result_has_an_owner(self):
        with self.assertRaises(KeyboardInterrupt):
            with _library.Callback(_abi.ft_work_callback, None) as callback:
                signal.raise_signal(signal.SIGINT)
                callback.check(_abi.FT_OK)
                owner = tiny_model()
        self.assertEqual(owner.info.vocab_size, 97)
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)

    def test_a_trainer_goes_at_once_where_on_step_knew_it(self):
        trainer = tiny_trainer(1)
        alive = weakref.ref(trainer)
        gc.disable()
        self.addCleanup(gc.enable)
        trainer.run(lambda now, known=trainer: known.progress)
        del trainer
        self.assertIsNone(alive())

    def test_closing_from_on_step_ends_the_run(self):
        trainer, seen = tiny_trainer(1000000), []

        def close(now):
            seen.append(now.step)
            trainer.close()

        with self.assertRaisesRegex(errors.InvalidArgument, "freed"):
            trainer.run(close)
        self.assertEqual(seen, [1])

    def test_another_thread_cancels_while_python_runs(self):
        trainer, began = tiny_trainer(1000000), threading.Event()
        other = threading.Thread(target=lambda: began.wait() and trainer.cancel())
        other.start()
        self.assertGreater(trainer.run(lambda _: began.set()).step, 0)
        other.join()

    def test_another_thread_runs_during_a_call_that_calls_nothing_back(self):
        model = tiny_model()
        data = ftlib.Dataset.open(model.tokenizer)
        for _ in range(2000):
            data.append_tokens([1, 2] * 125, [1, 2] * 125)
        trainer = ftlib.Trainer(model, data, options=ftlib.TrainOptions(steps=1, batch_examples=1, accumulate=2000))
        begin, ended = threading.Lock(), threading.Event()
        self.addCleanup(ended.set)
        begin.acquire()

        def cancel_once_begun():
            with begin:
                while not ended.is_set():  # the first may come before the step does
                    trainer.cancel()

        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(3600)  # a thread runs when another one gives up the GIL, and not because its time is up
        other = threading.Thread(target=cancel_once_begun)
        other.start()
        begin.release()
        with self.assertRaises(errors.Cancelled):  # with the GIL held the step would end before `other` runs
            trainer.step()
        ended.set()
        other.join()
        self.assertEqual(trainer.progress.step, 0)

    def test_held_out_records_choose_the_adapter(self):
        model = tiny_model()
        data = ftlib.Dataset.open(model.tokenizer, RECORDS)
        trainer = ftlib.Trainer(model, data, data, options=ftlib.TrainOptions(
            steps=8, batch_examples=2, lr=0.09, schedule="constant", clip=0, valid_every=1, patience=2))
        last = trainer.run()
        self.assertTrue(last.finished and last.step < 8)
        self.assertEqual(model.evaluate(data, trainer.adapter()).loss, last.best_valid_loss)

    def test_lora_config_has_pefts_names(self):
        model = tiny_model()
        data = ftlib.Dataset.open(model.tokenizer, RECORDS)
        config = ftlib.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], rank_pattern={"v_proj": 2},
                                  alpha_pattern={"v_proj": 3.0}, use_rslora=False, lora_dropout=0.1)
        adapter = ftlib.Trainer(model, data, lora=config).adapter()
        shapes = {name: (view.shape, scale) for name, scale, view in adapter.tensors()}
        self.assertTrue(all("q_proj" in name or "v_proj" in name for name in shapes))
        self.assertEqual(shapes["model.layers.0.self_attn.q_proj.lora_A"][0][0], 4)
        self.assertEqual(shapes["model.layers.0.self_attn.v_proj.lora_B"][0][1], 2)
        self.assertEqual(shapes["model.layers.0.self_attn.v_proj.lora_B"][1], 1.5)
        by_regex = ftlib.Trainer(model, data, lora=ftlib.LoraConfig(target_modules=r".*\.q_proj")).adapter()
        self.assertTrue(all("q_proj" in name for name, _, _ in by_regex.tensors()))
        with self.assertRaises(TypeError):
            ftlib.LoraConfig(bias="all")
        with self.assertRaisesRegex(ValueError, "schedule: want cosine"):
            ftlib.Trainer(model, data, options=ftlib.TrainOptions(schedule="step"))
        begun = ftlib.Trainer(model, data, init_adapter=adapter)
        self.assertEqual(begun.adapter().info.digest, adapter.info.digest)

    def test_adapters_are_written_read_and_merged(self):
        model = tiny_model()
        trainer = tiny_trainer(3)
        trainer.run()
        adapter = trainer.adapter()
        adapter.save_pretrained(WORK / "python-peft")
        adapter.save_gguf(WORK / "python.gguf")
        for path in (WORK / "python-peft", WORK / "python.gguf"):
            self.assertEqual(model.adapter(path).info.digest, adapter.info.digest)
        told = []
        model.merge(adapter, WORK / "python-merged.gguf", format="f32", on_progress=lambda done, total: told.append(done))
        self.assertGreater(len(told), 3)
        self.assertEqual(ftlib.Model.open(WORK / "python-merged.gguf").info.num_hidden_layers,
                         model.info.num_hidden_layers)

    def test_views_of_tensors_outlive_the_adapter(self):
        adapter = tiny_trainer().adapter()
        alive = weakref.ref(adapter._owner)
        views = [view for _, _, view in adapter.tensors()]
        before = [view.tolist() for view in views]
        adapter.close()
        del adapter
        gc.collect()
        self.assertIsNotNone(alive())
        self.assertEqual([view.tolist() for view in views], before)
        with self.assertRaises(TypeError):
            views[0][0, 0] = 1.0
        del views
        gc.collect()
        self.assertIsNone(alive())


class Primitives(unittest.TestCase):
    def test_nf4_goes_there_and_back(self):
        values = array.array("f", [math.sin(i) for i in range(200)])
        codes, absmax, back = bytearray(100), array.array("f", bytes(16)), array.array("f", bytes(800))
        primitives.nf4_quantize(values, codes, absmax)
        weight = primitives.Nf4Weight(codes, absmax, 10, 20)
        primitives.nf4_dequantize(weight, back)
        self.assertLess(max(abs(a - b) for a, b in zip(values, back)), 0.16)
        small, nested = bytearray(4), array.array("f", [0])
        offset = primitives.double_quantize(absmax, small, nested)
        primitives.nf4_dequantize(primitives.Nf4Weight(codes, small, 10, 20, 64, nested, offset), back)
        self.assertLess(max(abs(a - b) for a, b in zip(values, back)), 0.17)
        with self.assertRaisesRegex(ValueError, "codes: want 100 elements, got 99"):
            primitives.nf4_quantize(values, bytearray(99), absmax)
        with self.assertRaisesRegex(TypeError, "absmax: want f32, got f64"):
            primitives.nf4_quantize(values, codes, array.array("d", bytes(32)))
        with self.assertRaises((BufferError, TypeError, ValueError)):
            primitives.nf4_quantize(values, bytes(100), absmax)  # read-only
        with self.assertRaisesRegex(TypeError, "got list"):
            primitives.nf4_quantize([1.0], codes, absmax)

    def test_a_lora_linear_and_its_gradients(self):
        def matrix(rows, columns, values):
            return memoryview(array.array("f", values)).cast("B").cast("f", [rows, columns])

        x, w = matrix(1, 2, [1, 2]), matrix(2, 2, [1, 0, 0, 1])
        a, b, u, y = matrix(1, 2, [1, 1]), matrix(2, 1, [2, 3]), matrix(1, 1, [0]), matrix(1, 2, [0, 0])
        primitives.lora_linear(x, w, a, b, u, y, scale=0.5)
        self.assertEqual(y.tolist(), [[4.0, 6.5]])
        du, d_a, d_b, dx = matrix(1, 1, [0]), matrix(1, 2, [0, 0]), matrix(2, 1, [0, 0]), matrix(1, 2, [0, 0])
        primitives.lora_linear_backward(matrix(1, 2, [1, 1]), x, w, a, b, u, du, d_a, d_b, scale=0.5, dx=dx)
        self.assertEqual((d_a.tolist(), d_b.tolist(), dx.tolist()), ([[2.5, 5.0]], [[1.5], [1.5]], [[3.5, 3.5]]))

    def test_optimisers_clipping_and_loss(self):
        p, g = array.array("f", [1, 2]), array.array("f", [3, 4])
        m, v = array.array("f", [0, 0]), array.array("f", [0, 0])
        self.assertEqual(primitives.clip_grad_norm_([g], 0), 5)
        primitives.adamw_step(p, g, m, v, 1, lr=0.5)
        self.assertAlmostEqual(p[0], 0.5, 5)
        p8, codes = array.array("f", [1, 2]), [bytearray(2), bytearray(2)]
        primitives.adamw_8bit_step(p8, g, *codes, array.array("f", [0]), array.array("f", [0]), 1, lr=0.5)
        self.assertAlmostEqual(p8[0], 0.5, 5)
        logits = memoryview(array.array("f", [0, 0, 0, 0])).cast("B").cast("f", [2, 2])
        nll = array.array("f", [0, 0])
        primitives.cross_entropy(logits, array.array("i", [0, 1]), nll, d_logits=logits)
        self.assertAlmostEqual(nll[0], math.log(2), 6)
        self.assertEqual(logits.tolist(), [[-0.5, 0.5], [0.5, -0.5]])
        with self.assertRaisesRegex(TypeError, "unknown option 'learning_rate'"):
            primitives.adamw_step(p, g, m, v, 1, learning_rate=1)


class Quickstart(unittest.TestCase):
    def test_it_tunes_to_the_bytes_of_the_command_line(self):
        ours, theirs = WORK / "python-quickstart", WORK / "python-cli"
        subprocess.run([sys.executable, "-P", HERE.parent / "quickstart.py", TINY, RECORDS, ours], check=True,
                       stdout=subprocess.DEVNULL)
        subprocess.run([os.environ["FTLIB_PROGRAM"], "tune", "--model", TINY, "--train", RECORDS, "--steps", "12", "--out",
                        theirs, "--overwrite"], check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for name in ("adapter_config.json", "adapter_model.safetensors", "adapter.gguf"):
            self.assertEqual((ours / name).read_bytes(), (theirs / name).read_bytes(), name)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored
    unittest.main()
