# Each binding runs its own tests with the shared library, the tiny model and the program of this build; each quickstart gives
# the adapter bytes of the command line.
set(work ${CMAKE_CURRENT_BINARY_DIR}/capi/work)
set(bindings ${PROJECT_SOURCE_DIR}/bindings)
# Debian's compilers come first: they are the oldest that the bindings promise.
set(ftlib_binding_environment
    PATH=/usr/bin:$ENV{PATH} FTLIB_LIBRARY=$<TARGET_FILE:ftlib_c> FTLIB_LIB_DIR=$<TARGET_FILE_DIR:ftlib_c>
    LD_LIBRARY_PATH=$<TARGET_FILE_DIR:ftlib_c> CARGO_TARGET_DIR=${PROJECT_BINARY_DIR}/rust
    CARGO_HOME=${PROJECT_BINARY_DIR}/rust/home GOPATH=${PROJECT_BINARY_DIR}/go/path
    "CGO_CFLAGS=\"-I${PROJECT_SOURCE_DIR}/capi\"" "CGO_LDFLAGS=\"-L$<TARGET_FILE_DIR:ftlib_c>\""
    GOCACHE=${PROJECT_BINARY_DIR}/go/cache GOFLAGS=-mod=mod GOPROXY=off PYTHONPATH=${bindings}/python
    FTLIB_TINY=${work}/tiny.gguf FTLIB_WORK=${work} FTLIB_RECORDS=${CMAKE_CURRENT_SOURCE_DIR}/quickstart.jsonl FTLIB_PROGRAM=$<TARGET_FILE:ftlib_cli>)

function(add_binding_test name)
  add_test(NAME "${name}" COMMAND ${ARGN})
  set_tests_properties("${name}" PROPERTIES ENVIRONMENT "${ftlib_binding_environment}" FIXTURES_REQUIRED tiny_gguf)
endfunction()

function(add_quickstart_test name)
  add_test(NAME "${name}: the quickstart gives the adapter bytes of the command line"
           COMMAND ${CMAKE_COMMAND} "-DCOMMAND=${ARGN}" -DPROGRAM=$<TARGET_FILE:ftlib_cli> "-DWORK=${work}-${name}"
                   -DRECORDS=${CMAKE_CURRENT_SOURCE_DIR}/quickstart.jsonl -P ${CMAKE_CURRENT_SOURCE_DIR}/same_bytes.cmake)
  set_tests_properties("${name}: the quickstart gives the adapter bytes of the command line" PROPERTIES
                       ENVIRONMENT "${ftlib_binding_environment}")
endfunction()

add_binding_test("python: the binding's own tests" env python3 ${bindings}/python/tests/test_ftlib.py)
add_binding_test("python: what no call takes is refused before C sees it"
                 env python3 ${bindings}/python/tests/test_arguments.py)
add_binding_test("python: arrays of NumPy where they lie, and the bar of tqdm"
                 env python3 ${bindings}/python/tests/test_numpy.py)
add_test(NAME "python: mypy --strict has nothing to say"
         COMMAND mypy --no-error-summary --cache-dir=${CMAKE_CURRENT_BINARY_DIR}/mypy WORKING_DIRECTORY ${bindings}/python)
set_tests_properties("python: mypy --strict has nothing to say" PROPERTIES ENVIRONMENT "PATH=/usr/bin:$ENV{PATH}")
add_binding_test("rust: the binding's own tests, doc-tests among them"
                 env cargo test --offline --quiet --manifest-path ${bindings}/rust/Cargo.toml)
add_binding_test("rust: the documentation has no warning"
                 ${CMAKE_COMMAND} -E env "RUSTDOCFLAGS=-D warnings" cargo doc --offline --quiet --no-deps
                 --manifest-path ${bindings}/rust/Cargo.toml)
add_binding_test("go: vet, and the binding's own tests under the race detector"
                 sh -c "cd '${bindings}/go' && ! gofmt -l . | grep . && go vet -tags ftlib_layout ./... \
                        && go test -race -tags ftlib_layout ./...")
add_quickstart_test(python python3 ${bindings}/python/quickstart.py)
add_quickstart_test(rust cargo run --offline --quiet --manifest-path ${bindings}/rust/Cargo.toml --example quickstart)
add_quickstart_test(go sh ${CMAKE_CURRENT_SOURCE_DIR}/go_run.sh ${bindings}/go ./quickstart)
if(TARGET ftlib_quickstart_c)
  add_quickstart_test(c $<TARGET_FILE:ftlib_quickstart_c>)
endif()

# One program in five languages: what C++ prints is what the others have to print.
function(add_embedding_test language)
  set(name "embedding: ${language} shows the error, cancels, saves, goes on, and prints the lines of C++")
  add_test(NAME "${name}"
           COMMAND ${CMAKE_COMMAND} "-DCOMMAND=${ARGN}" -DLANGUAGE=${language} "-DWORK=${CMAKE_CURRENT_BINARY_DIR}/embedding"
                   -DRECORDS=${CMAKE_CURRENT_SOURCE_DIR}/quickstart.jsonl -P ${CMAKE_CURRENT_SOURCE_DIR}/embedding.cmake)
  set_tests_properties("${name}" PROPERTIES ENVIRONMENT "${ftlib_binding_environment}")
  if(language STREQUAL "cpp")
    set_tests_properties("${name}" PROPERTIES FIXTURES_SETUP embedding)
  else()
    set_tests_properties("${name}" PROPERTIES FIXTURES_REQUIRED embedding)
  endif()
endfunction()

if(TARGET ftlib_embedding)
  add_embedding_test(cpp $<TARGET_FILE:ftlib_embedding>)
  add_embedding_test(c $<TARGET_FILE:ftlib_embedding_c>)
  add_embedding_test(python python3 ${bindings}/python/embedding.py)
  add_embedding_test(rust cargo run --offline --quiet --manifest-path ${bindings}/rust/Cargo.toml --example embedding)
  add_embedding_test(go sh ${CMAKE_CURRENT_SOURCE_DIR}/go_run.sh ${bindings}/go ./embedding)
endif()
