/** Has the processes that a test starts note what they run of the tool, if JWTGATE_COVERAGE_CHILDREN names a folder. */
const { JWTGATE_COVERAGE_CHILDREN: folder } = process.env;
if (folder !== undefined) process.env["NODE_V8_COVERAGE"] = folder;
