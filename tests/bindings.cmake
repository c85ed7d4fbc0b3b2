# Each binding runs its own tests with the shared library, the tiny model and the program of this build.
set(work ${CMAKE_CURRENT_BINARY_DIR}/capi/work)
set(ftlib_binding_environment
    FTLIB_LIBRARY=$<TARGET_FILE:ftlib_c> FTLIB_TINY=${work}/tiny.gguf FTLIB_WORK=${work}
    FTLIB_RECORDS=${CMAKE_CURRENT_SOURCE_DIR}/quickstart.jsonl FTLIB_PROGRAM=$<TARGET_FILE:ftlib_cli>)

add_test(NAME "python: the binding's own tests" COMMAND python3 ${PROJECT_SOURCE_DIR}/bindings/python/tests/test_ftlib.py)
set_tests_properties("python: the binding's own tests" PROPERTIES ENVIRONMENT "${ftlib_binding_environment}"
                                                                  FIXTURES_REQUIRED tiny_gguf)
