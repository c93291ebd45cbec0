package aliyun

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each response is recognised by its content.
func TestRecognised(t *testing.T) {
	rows := map[string]string{
		"DescribeRouteEntryList":         `{"RouteEntrys": {"RouteEntry": [{"RouteTableId": "vtb-1"}]}}`,
		"DescribeRouteTableList":         `{"TotalCount": 1, "RouterTableList": {"RouterTableListType": [{"RouteTableId": "vtb-1"}]}}`,
		"DescribeVSwitches":              `{"VSwitches": {"VSwitch": []}}`,
		"DescribeNetworkInterfaces":      `{"NetworkInterfaceSets": {"NetworkInterfaceSet": null}}`,
		"DescribeInstances":              `{"Instances": null}`,
		"DescribeSecurityGroupAttribute": `{"SecurityGroupId": "sg-1", "Permissions": {"Permission": []}}`,
		"DescribeSecurityGroups":         `{"SecurityGroups": {"SecurityGroup": []}}`,
		"DescribePrefixListAttributes":   `{"PrefixListId": "pl-1", "Entries": {"Entry": []}}`,
		"DescribeLoadBalancers":          `{"LoadBalancers": {"LoadBalancer": []}}`,
		"DescribeLoadBalancerAttribute":  `{"LoadBalancerId": "lb-1", "ListenerPortsAndProtocol": {}, "BackendServers": {"BackendServer": []}}`,
		"DescribeLoadBalancerListeners":  `{"Listeners": [{"ListenerPort": 80}]}`,
		"DescribeVServerGroupAttribute":  `{"VServerGroupId": "rsp-1", "BackendServers": {"BackendServer": []}}`,
	}
	for _, r := range responses() {
		text, tested := rows[r.action]
		require.True(t, tested, "%s has no row", r.action)
		got, err := Actions("a.json", []byte(text))
		require.NoError(t, err, r.action)
		require.Equal(t, []string{r.action}, got)
		f := &Facts{}
		problems, err := f.Add("a.json", []byte(text))
		require.NoError(t, err)
		require.Empty(t, problems)
		require.True(t, f.Given(r.action))
	}
	require.Len(t, rows, len(responses()))
}

// Several documents follow each other, and each object knows its line.
func TestLines(t *testing.T) {
	f := &Facts{}
	problems, err := f.Add("r.json", []byte(`{
  "RouteEntrys": {
    "RouteEntry": [
      {"RouteTableId": "vtb-1", "DestinationCidrBlock": "10.0.0.0/8",
       "NextHops": {"NextHop": [{"NextHopId": "i-1", "NextHopType": "Instance"}]}},
      {"RouteTableId": 7},
      {"RouteTableId": "vtb-1", "DestinationCidrBlock": "11.0.0.0/8"}
    ]
  }
}
{"SecurityGroupId": "sg-1", "InnerAccessPolicy": "Drop", "Permissions": {"Permission": [
  {"Priority": "1", "Policy": "Accept", "SourceCidrIp": "10.0.0.0/8"},
  {"Priority": 100}
]}}`))
	require.NoError(t, err)
	require.Len(t, problems, 1, "one bad object costs itself")
	require.ErrorContains(t, problems[0], "r.json:6: RouteEntrys: ")
	require.Equal(t, map[string]Place{"DescribeRouteEntryList of vtb-1": {"r.json", 1}}, f.Missing())
	require.Empty(t, f.Cut())
	require.Len(t, f.RouteEntries, 2)
	require.Equal(t, "r.json:4", f.RouteEntries[0].String())
	require.Equal(t, "i-1", f.RouteEntries[0].NextHops.NextHop[0].NextHopID)
	require.Equal(t, "r.json:7", f.RouteEntries[1].String())
	require.Equal(t, "r.json:11", f.SecurityGroups[0].String())
	require.Equal(t, "Drop", f.SecurityGroups[0].InnerAccessPolicy)
	require.Equal(t, []Number{1, 100}, []Number{f.Rules[0].Priority, f.Rules[1].Priority})
	require.Equal(t, "sg-1", f.Rules[1].SecurityGroupID)
	require.Equal(t, "r.json:13", f.Rules[1].String())
}

// The byte order mark and the ends of lines of Windows are no part of a response.
func TestWindows(t *testing.T) {
	f := &Facts{}
	problems, err := f.Add("v.json", []byte("\ufeff{\"VSwitches\": {\r\n\"VSwitch\": [\r\n{\"VSwitchId\": \"vsw-1\"}]}}\r\n"))
	require.NoError(t, err)
	require.Empty(t, problems)
	require.Equal(t, "v.json:3", f.VSwitches[0].String())
}

// What is no response costs its file, and the error names the place.
func TestBroken(t *testing.T) {
	for text, want := range map[string]string{
		``:   "x.json: no known response of the API: the file is empty",
		`[]`: "x.json:1: no known response of the API: expected an object, not [",
		`{"Code": "Forbidden.RAM", "Message": "not yours"}`: "x.json:1: no known response of the API: it is the error Forbidden.RAM: not yours",
		"{\n\"VSwitches\": 5}":                              `x.json:2: VSwitches: expected an object with "VSwitch"`,
		"{\"VSwitches\": {\"VSwitch\": {}}}":                "x.json:1: VSwitches: VSwitch: expected an array",
		"{\"VSwitches\": {\"VSwitch\": [\n{]":               "x.json:2: VSwitches: VSwitch: invalid character ']'",
		"{\"VSwitches\": {\"VSwitch\": [":                   "x.json:1: unexpected EOF",
		`{"Vpcs": {}}`:                                      "x.json:1: no known response of the API: known are DescribeRouteEntryList, ",
		"\xff\xfe{\x00}\x00":                                "x.json: no known response of the API: the text is UTF-16, ",
		`{"VSwitches": {}} ]`:                               "x.json:1: a bracket that nothing opens",
		`ERROR: SDK.ServerError`:                            "x.json:1: invalid character 'E'",
	} {
		f := &Facts{}
		_, err := f.Add("x.json", []byte(text))
		require.ErrorContains(t, err, want, text)
		_, err = Actions("x.json", []byte(text))
		require.ErrorContains(t, err, want, text)
		require.Equal(t, &Facts{}, f, "nothing of the file counts: %s", text)
	}
}

// Pages of one answer follow each other, in one file or in several.
func TestPages(t *testing.T) {
	page := func(table, token string) string {
		return `{"NextToken": "` + token + `", "RouteEntrys": {"RouteEntry": [{"RouteTableId": "` + table + `"}]}}`
	}
	// of DescribeVSwitches without a token: so many on a page, of so many
	of := func(n, total int) string {
		list := strings.TrimSuffix(strings.Repeat(`{"VSwitchId": "vsw"},`, n), ",")
		return fmt.Sprintf(`{"PageNumber": 1, "PageSize": 10, "TotalCount": %d, "VSwitches": {"VSwitch": [%s]}}`, total, list)
	}
	for _, tt := range []struct {
		name  string
		files []string
		cut   map[string]Place
	}{
		{"numbered pages", []string{of(10, 25), of(10, 25), of(5, 25)}, map[string]Place{}},
		{"the first of them", []string{of(10, 25)}, map[string]Place{"DescribeVSwitches": {"0.json", 1}}},
		{"two of them in a file", []string{of(10, 25) + "\n" + of(10, 25)}, map[string]Place{"DescribeVSwitches": {"0.json", 2}}},
		{"another VPC's do not end them", []string{of(10, 25), of(3, 3)}, map[string]Place{"DescribeVSwitches": {"0.json", 1}}},
		{"all there are in any order, with tokens", []string{
			`{"NextToken": "", "TotalCount": 2, "NetworkInterfaceSets": {"NetworkInterfaceSet": [{}]}}`,
			`{"NextToken": "x", "TotalCount": "2", "NetworkInterfaceSets": {"NetworkInterfaceSet": [{}]}}`}, map[string]Place{}},
		{"a total that is the page's", []string{`{"NextToken": "x", "TotalCount": 1, "NetworkInterfaceSets": {"NetworkInterfaceSet": [{}]}}`},
			map[string]Place{"DescribeNetworkInterfaces": {"0.json", 1}}},
		{"one page", []string{page("vtb-1", "")}, map[string]Place{}},
		{"two in a file", []string{page("vtb-1", "more") + page("vtb-1", "")}, map[string]Place{}},
		{"two files", []string{page("vtb-1", "more"), page("vtb-1", "")}, map[string]Place{}},
		{"the last is missing", []string{page("vtb-1", ""), page("vtb-2", "more")}, map[string]Place{"DescribeRouteEntryList of vtb-2": {"1.json", 1}}},
		{"another table does not end it", []string{page("vtb-2", "more"), page("vtb-1", "")}, map[string]Place{"DescribeRouteEntryList of vtb-2": {"0.json", 1}}},
		{"rules of a group", []string{`{"NextToken": "x", "SecurityGroupId": "sg-1", "Permissions": {}}`}, map[string]Place{"DescribeSecurityGroupAttribute of sg-1": {"0.json", 1}}},
		{"interfaces", []string{`{"NextToken": "x", "NetworkInterfaceSets": {}}`}, map[string]Place{"DescribeNetworkInterfaces": {"0.json", 1}}},
	} {
		f := &Facts{}
		for i, text := range tt.files {
			_, err := f.Add(string(rune('0'+i))+".json", []byte(text))
			require.NoError(t, err)
		}
		require.Equal(t, tt.cut, f.Cut(), tt.name)
	}
}

func FuzzAdd(f *testing.F) {
	f.Add([]byte(`{"VSwitches": {"VSwitch": [{"VSwitchId": "a"}]}}`))
	f.Add([]byte(`{"PrefixListId": "pl-1", "Entries": {"Entry": [{"Cidr": "10.0.0.0/8"}]}}{"Instances": null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		facts := &Facts{}
		if _, err := facts.Add("fuzz.json", text); err == nil {
			d := json.NewDecoder(bytes.NewReader(text))
			var any json.RawMessage
			require.NoError(t, d.Decode(&any), "what is no JSON was taken")
		}
	})
}
