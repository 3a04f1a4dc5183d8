/** Lets the processes of a test record what they run of the tool, if JWTGATE_COVERAGE_CHILDREN names a folder. */
const { JWTGATE_COVERAGE_CHILDREN: folder } = process.env;
if (folder !== undefined) process.env["NODE_V8_COVERAGE"] = folder;
