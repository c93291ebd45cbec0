package rawimport_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// What a cloud tells is taken over as it came, whatever its files are called; one
// that is no answer of the API costs itself.
func TestInfra(t *testing.T) {
	const entry = `{"VSwitches": {"VSwitch": []}}` + "\n"
	s := imported(t, raw(`
-- infra/aliyun/a.json --
`+entry+`-- infra/aliyun/page 1 --
`+entry+entry+`-- infra/aliyun/page_1 --
`+entry+`-- infra/aliyun/--all.JSON --
`+entry+`-- infra/aliyun/bad.json --
{"VSwitches": {"VSwitch": [
`+`-- infra/aliyun/empty.json --
-- infra/aliyun/deeper/b.json --
`+entry+`-- infra/other/c.json --
`+entry))
	require.Equal(t, []string{"infra/aliyun/a.json", "infra/aliyun/all.JSON.json", "infra/aliyun/bad.json", "infra/aliyun/empty.json",
		"infra/aliyun/page_1.json", "infra/aliyun/page_1_.json"}, s.InfraFiles("aliyun"))
	require.Empty(t, s.InfraFiles("other"))
	data, err := s.Read("infra/aliyun/page_1.json")
	require.NoError(t, err)
	require.True(t, bytes.Equal([]byte(entry+entry), data), "the bytes are kept")
	for name, reason := range map[string]string{"bad": "line 2: unexpected EOF", "empty": "no known response of the API: the file is empty"} {
		p := s.Part("infra/aliyun/" + name + ".json")
		require.Equal(t, nodedump.StatusFailed, p.Status, name)
		require.Equal(t, reason, p.Reason)
	}
}
