package hub.registry.client;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.netflix.appinfo.ApplicationInfoManager;
import com.netflix.appinfo.InstanceInfo;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.List;
import java.util.Map;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.cloud.client.discovery.DiscoveryClient;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Configuration;

/** A client of Eureka by Spring Cloud Netflix; see tests/clients/eureka/README.md. */
@Configuration
@EnableAutoConfiguration
public class EurekaApp {

  public static void main(String[] arguments) throws Exception {
    String[] settings = {
      "--eureka.client.serviceUrl.defaultZone=" + arguments[0] + "/",
      "--spring.application.name=" + arguments[1],
      "--eureka.instance.hostname=" + arguments[2],
      "--eureka.instance.ipAddress=" + arguments[2],
      "--eureka.instance.nonSecurePort=" + arguments[3],
      "--eureka.instance.instanceId=" + arguments[1] + "-" + arguments[3],
      "--eureka.instance.leaseRenewalIntervalInSeconds=1",
      "--eureka.instance.leaseExpirationDurationInSeconds=6",
      "--eureka.instance.metadataMap.by=java",
      "--eureka.instance.metadataMap.a_b=1 < 2",
      "--eureka.client.registryFetchIntervalSeconds=1",
      "--eureka.client.initialInstanceInfoReplicationIntervalSeconds=0",
      "--eureka.client.instanceInfoReplicationIntervalSeconds=1",
      // The server beside it brings Jersey along; an application has Spring's own client.
      "--eureka.client.jersey.enabled=false",
      "--spring.main.banner-mode=off",
    };
    try (ConfigurableApplicationContext context =
        new SpringApplicationBuilder(EurekaApp.class).web(WebApplicationType.NONE).run(settings)) {
      DiscoveryClient discovery = context.getBean(DiscoveryClient.class);
      ApplicationInfoManager self = context.getBean(ApplicationInfoManager.class);
      say(Map.of("ready", true));
      BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        String[] words = line.split(" ");
        if (words[0].equals("find")) {
          List<Map<String, Object>> found =
              discovery.getInstances(words[1]).stream()
                  .map(
                      one ->
                          Map.<String, Object>of(
                              "host", one.getHost(),
                              "port", one.getPort(),
                              "metadata", one.getMetadata()))
                  .toList();
          say(Map.of("found", found));
        } else if (words[0].equals("change")) {
          self.registerAppMetadata(Map.of("said", words[1]));
          say(Map.of("changed", true));
        } else if (words[0].equals("status")) {
          self.setInstanceStatus(InstanceInfo.InstanceStatus.valueOf(words[1]));
          say(Map.of("status", words[1]));
        }
      }
    }
  }

  // The log goes to standard output too: these lines alone begin with a brace.
  private static void say(Map<String, Object> answer) throws Exception {
    System.out.println(new ObjectMapper().writeValueAsString(answer));
  }
}
