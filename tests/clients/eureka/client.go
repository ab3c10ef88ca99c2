// A client of Eureka by github.com/hudl/fargo, which speaks XML; see README.md.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hudl/fargo"
	"github.com/op/go-logging"
)

func say(answer map[string]any) {
	text, err := json.Marshal(answer)
	check(err)
	fmt.Println(string(text))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func listed(instances []*fargo.Instance) []map[string]any {
	list := []map[string]any{}
	for _, one := range instances {
		list = append(list, map[string]any{"host": one.IPAddr, "port": one.Port, "metadata": one.Metadata.GetMap()})
	}
	return list
}

func main() {
	url, name, host := os.Args[1], os.Args[2], os.Args[3]
	port, err := strconv.Atoi(os.Args[4])
	check(err)
	// What it logs is for people.
	logging.SetBackend(logging.NewLogBackend(os.Stderr, "", 0))
	connection := fargo.NewConn(url)
	connection.PollInterval = time.Second
	self := fargo.Instance{
		InstanceId: host + ":" + name + ":" + os.Args[4], App: name, HostName: host, IPAddr: host,
		VipAddress: name, Port: port, PortEnabled: true, Status: fargo.UP,
		DataCenterInfo: fargo.DataCenterInfo{Name: fargo.MyOwn},
		LeaseInfo:      fargo.LeaseInfo{RenewalIntervalInSecs: 1, DurationInSecs: 6},
	}
	self.SetMetadataString("by", "go")
	self.SetMetadataString("a_b", "1 < 2")
	registered := self
	check(connection.RegisterInstance(&registered))
	say(map[string]any{"ready": true})
	// The library leaves it to its users to beat, and to register again when nobody knows them.
	go func() {
		for range time.Tick(time.Second) {
			if err := connection.HeartBeatInstance(&self); err != nil {
				if code, ok := fargo.HTTPResponseStatusCode(err); ok && code == 404 {
					again := self
					_ = connection.ReregisterInstance(&again)
				}
			}
		}
	}()
	watched := map[string]*fargo.InstanceSetSource{}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		value := words[1]
		switch words[0] {
		case "find":
			// It watches from the first question on. Without an application its list is an error, and so none.
			if watched[value] == nil {
				watched[value], err = connection.NewInstanceSetSourceForApp(value, true, fargo.ThatAreUp)
				check(err)
			}
			say(map[string]any{"found": listed(watched[value].Latest())})
		case "change":
			check(connection.AddMetadataString(&registered, "said", value))
			say(map[string]any{"changed": true})
		case "status":
			check(connection.UpdateInstanceStatus(&registered, fargo.StatusType(value)))
			say(map[string]any{"status": value})
		}
	}
	check(connection.DeregisterInstance(&registered))
}
